"""What is timed: every architecture's own network, in rounds that give all the same number of bursts."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nasbench_rl.task import GameTask, get_task
from nasbench_rl.training import latency

TASKS = ("minatar-ss1/breakout@lite", "atari-ss1/breakout@lite", "nsc-chain/digits@lite", "nsc-multibranch/digits@lite")


@pytest.mark.parametrize("id_", TASKS)
def test_networks_take_the_inputs_of_their_task(id_: str) -> None:
    task = get_task(id_)
    arch = task.space.parse("k3-k3" if isinstance(task, GameTask) else "conv3 maxpool2")
    pool = torch.full((task.size(arch).params,), 0.01)
    forward = latency.make_network(task, arch, pool)
    with torch.inference_mode():
        out = forward(latency.make_input(task, 3, torch.Generator().manual_seed(0)))
    logits = out[0] if isinstance(out, tuple) else out
    outputs = task.environment.actions if isinstance(task, GameTask) else task.environment.classes
    assert tuple(logits.shape) == (3, outputs)
    assert torch.isfinite(logits).all()


def test_all_weights_come_from_the_pool() -> None:
    task = get_task("minatar-ss1/breakout@lite")
    agent = latency.make_network(task, task.space.parse((4, 2)), pool := torch.zeros(task.size((4, 2)).params))
    assert isinstance(agent, torch.nn.Module)
    pool.fill_(1.0)
    weights = list(agent.parameters())
    assert all((weight == 1).all() for weight in weights)
    assert sum(weight.numel() for weight in weights) == pool.numel()
    assert weights[2].is_contiguous(memory_format=torch.channels_last)


def test_a_larger_network_takes_longer_and_every_one_gets_its_bursts() -> None:
    task = get_task("minatar-ss2/breakout@lite")
    archs = [task.space.parse(choices) for choices in ((2, 2, 2, 2, 2), (5, 5, 5, 5, 5))]
    seen: list[int] = []
    torch_state = torch.random.get_rng_state()
    timings = latency.measure(task, archs, (1, 32), rounds=4, progress=seen.append)
    assert torch.equal(torch_state, torch.random.get_rng_state()), "the global random state is left alone"
    assert seen == [1, 2, 3, 4]
    assert [(timing.arch, timing.batch) for timing in timings] == [(arch, batch) for arch in archs for batch in (1, 32)]
    assert all(4 <= len(timing.seconds) <= 4 * latency.MOST_PASSES for timing in timings)
    assert timings[1].median < timings[3].median, "at batch 32 the larger network is several times as much work"
    assert timings[0].median < timings[1].median


def test_a_burst_runs_warm_passes_untimed_and_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    passes: list[float] = []

    def forward(_: object) -> None:
        passes.append(clock[0])
        clock[0] += 0.004

    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock[0])
    seconds: list[float] = []
    latency._burst(forward, torch.zeros(1), seconds)
    assert seconds == pytest.approx([0.004] * 3)  # the third ends beyond 10 ms
    assert len(passes) == latency.WARM_PASSES + 3
