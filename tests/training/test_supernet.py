"""Supernets: blocks that an update leaves out, paths, proxies, repeatability, and their table."""

from __future__ import annotations

import dataclasses
import itertools
import math
from hashlib import sha256 as hash_bytes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.networks import ALL_SPACES, agent_of_path, fingerprint_elsewhere, observations, tiny

from nasbench_rl.errors import InvalidArchitectureError, InvalidValueError, RecipeMismatchError
from nasbench_rl.tables import shards, table_io
from nasbench_rl.tables.manifest import read_manifest
from nasbench_rl.tables.results import PathUpdate
from nasbench_rl.task import Task, get_task
from nasbench_rl.task.side_tables import SideTable
from nasbench_rl.training import ppo, supernet
from nasbench_rl.training.games.base import Games
from nasbench_rl.training.games.make import make_games
from nasbench_rl.training.supernet import Supernet, fit_supernet, measure_proxies
from nasbench_rl.training.train_cell import train_supernet

CPU = torch.device("cpu")


def make_supernet(task: Task, seed: int = 0) -> Supernet:
    return Supernet(task, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("id_", ALL_SPACES)
def test_a_path_is_the_stand_alone_agent_with_its_weights(id_: str) -> None:
    task = get_task(id_)
    net, seen = make_supernet(task), observations(task, 8)
    for path in (
        task.space[0].choices,
        task.space[len(task.space) // 2].choices,
        task.space[len(task.space) - 1].choices,
    ):
        net.select(path)
        with torch.inference_mode():
            expected = agent_of_path(net, task, path)(seen)
            for mine, other in zip(net(seen), expected, strict=True):
                assert torch.equal(mine, other), path


@pytest.mark.parametrize("id_", ALL_SPACES)
def test_rows_with_paths_of_their_own_are_what_each_path_gives_alone(id_: str) -> None:
    task = get_task(id_)
    net, rng = make_supernet(task), np.random.default_rng(3)
    torch.nn.init.normal_(net.policy.weight, generator=torch.Generator().manual_seed(1))  # so that logits differ
    paths = np.array([task.space.sample(rng).choices for _ in range(12)])
    seen = observations(task, 12)
    with torch.inference_mode():
        net.select(paths)
        together = net(seen)[0]
        for row, path in enumerate(paths):
            net.select(path)
            torch.testing.assert_close(together[row], net(seen[row : row + 1])[0][0], rtol=0.05, atol=0.1)
        net.select(paths[::-1].copy())
        assert not torch.allclose(together, net(seen)[0], rtol=0.05, atol=0.1)


def test_one_update_moves_the_sampled_path_and_nothing_of_the_others() -> None:
    task = tiny(env_steps=2048)  # the second update has the first one's gradients and moments lying about
    first, second = (1, 3), (3, 3)
    snapshots: list[dict[str, torch.Tensor]] = []

    class Spy(Supernet):
        def select(self, paths: Any) -> None:
            snapshots.append({name: p.detach().clone() for name, p in self.named_parameters()})
            super().select(paths)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supernet, "Supernet", Spy)
        fitted = fit_supernet(task, 0, sample_path=lambda i, rng: (first, second)[i], fidelities=[])
    start, between = snapshots
    end = dict(fitted.supernet.named_parameters())
    for path, before, after in ((first, start, between), (second, between, end)):
        for name in before:
            in_path = not name.startswith("convs.") or name.split(".")[2] == str(path[int(name.split(".")[1])])
            assert torch.equal(before[name], after[name]) != in_path, (name, path)


def test_gradients_of_the_path_before_are_not_clipped_or_applied_with_the_next() -> None:
    task = tiny()
    net = make_supernet(task)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    stale = net.block(0, 1).weight
    stale.grad = torch.full_like(stale, 1e6)  # would move the block, and scale all other gradients down to nothing
    games = make_games(task, task.recipe.num_envs)
    rollout = ppo.Rollout.empty(task.recipe, games, task.environment.actions, CPU)
    generator, curve = torch.Generator().manual_seed(0), ppo.Curve(())
    net.select((3, 3))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    seen = torch.from_numpy(games.reset(np.random.SeedSequence(0)))
    ppo.collect(net, games, seen, rollout, task.recipe, generator, curve)
    ppo.update(net, optimizer, rollout, task.recipe, generator)
    assert torch.equal(stale, before["convs.0.1.weight"])
    assert stale.grad is None and stale not in optimizer.state
    assert not torch.equal(net.block(0, 3).weight, before["convs.0.3.weight"])


def test_initial_weights_are_orthogonal_in_every_block_and_fixed_by_the_seed() -> None:
    task = tiny()
    net = make_supernet(task)
    for layer in range(task.space.depth):
        for kernel in task.space.kernels:
            weight = net.block(layer, kernel).weight.flatten(1).detach()
            assert torch.allclose(weight @ weight.T, 2 * torch.eye(len(weight)), atol=1e-4)
    for mine, same, other in zip(
        net.parameters(), make_supernet(task).parameters(), make_supernet(task, 1).parameters(), strict=True
    ):
        assert torch.equal(mine, same)
        assert mine.ndim == 1 or not torch.equal(mine, other)


def test_smoke_fit_has_a_proxy_of_every_architecture_at_every_fidelity() -> None:
    task = tiny()
    seen: list[int] = []
    fitted = fit_supernet(task, 0, progress=seen.append)
    assert seen == [1024, 2048, 3072]
    assert fitted.env_steps == 3072
    assert [point.fidelity for point in fitted.points] == list(task.fidelities)
    recipe = task.supernet_recipe
    for point in fitted.points:
        assert [proxy.arch for proxy in point.proxies] == list(task.space)
        games = recipe.final_games if point.fidelity == task.max_fidelity else recipe.proxy_games
        assert point.fidelity <= point.env_steps < point.fidelity + 1024
        for proxy in point.proxies:
            assert len(proxy.returns) == games
            assert all(math.isfinite(value) for value in (*proxy.returns, proxy.mean, proxy.std))
            assert games <= proxy.env_steps <= games * recipe.game_steps
    times = [point.cpu_seconds for point in fitted.points]
    assert 0 < times[0] and times == sorted(times) and times[-1] <= fitted.cpu_seconds
    assert all(point.proxy_cpu_seconds > 0 for point in fitted.points)


def test_measuring_fewer_proxies_changes_neither_the_fit_nor_the_others() -> None:
    task = tiny()
    whole, last = fit_supernet(task, 0), fit_supernet(task, 0, fidelities=[task.max_fidelity])
    assert [point.fidelity for point in last.points] == [task.max_fidelity]
    assert last.points[0].proxies == whole.points[-1].proxies
    for mine, other in zip(whole.supernet.parameters(), last.supernet.parameters(), strict=True):
        assert torch.equal(mine, other)


def fingerprint(seed: int) -> str:
    """Proxies and final weights of a fit."""
    fitted = fit_supernet(tiny(), seed)
    weights = b"".join(p.detach().numpy().tobytes() for p in fitted.supernet.parameters())
    return f"{[proxy.returns for point in fitted.points for proxy in point.proxies]} {hash_bytes(weights).hexdigest()}"


def test_a_fit_is_the_same_in_another_process_and_another_with_another_seed() -> None:
    assert fingerprint_elsewhere(__file__, 0) == fingerprint(0) != fingerprint(1)


def test_uniform_paths_reach_every_block_alike_and_do_not_depend_on_what_was_found() -> None:
    task = get_task("minatar-ss1/breakout@smoke")
    task = dataclasses.replace(task, recipe=dataclasses.replace(task.recipe, env_steps=1000 * 1024))
    drawn: list[tuple[int, ...]] = []

    class Enough(Exception):  # noqa: N818
        pass

    class Recorder:
        """Stands in for the network: ``fit_supernet`` draws paths and nothing is played."""

        def __init__(self, task: Task, generator: torch.Generator) -> None:
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def to(self, device: torch.device) -> Recorder:
            return self

        def parameters(self) -> list[torch.nn.Parameter]:
            return [self.weight]

        def select(self, path: tuple[int, ...]) -> None:
            drawn.append(path)

    def one_step(net: Recorder, games: Games, seen: torch.Tensor, *rest: object) -> torch.Tensor:
        games.step(np.zeros(games.num_envs, dtype=np.int64))
        return seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supernet, "Supernet", Recorder)
        patch.setattr(ppo, "collect", one_step)
        patch.setattr(ppo, "update", lambda *everything: None)
        fit_supernet(task, 0, fidelities=[])
    assert len(drawn) == 1000
    counts = np.array([drawn.count(arch.choices) for arch in task.space])
    assert counts.sum() == 1000 and ((counts - 40) ** 2 / 40).sum() < 52.6  # chi-square, 24 degrees, p = 0.0006
    assert 18 < sum(one == other for one, other in itertools.pairwise(drawn)) < 66, "independent draws: 40 ± 4 σ"


def test_a_controller_is_told_what_each_of_its_paths_brought() -> None:
    task, told, asked, heard = tiny(env_steps=4096), [], [], []

    def sample_path(index: int, rng: np.random.Generator) -> str:
        heard.append(len(told))
        asked.append(f"k{(1, 3, 3, 1)[index]}-k{int(rng.choice([1, 3]))}")
        return asked[-1]

    fit_supernet(task, 0, sample_path=sample_path, on_update=told.append, fidelities=[])
    assert heard[1:] == [0, 1, 2], "games of the very first paths are short: the next update ends the last of them"
    assert [update.index for update in told] == [0, 1, 2]
    assert [update.arch for update in told] == asked[:3]
    assert [update.env_steps for update in told] == [1024, 2048, 3072]
    for update in told:
        assert isinstance(update, PathUpdate)
        assert update.games > 8 and 0 <= update.return_mean < 50


def test_a_path_outside_the_space_and_a_fidelity_outside_the_task_are_refused() -> None:
    task = tiny()
    with pytest.raises(InvalidArchitectureError, match="k1-k9"):
        fit_supernet(task, 0, sample_path=lambda index, rng: "k1-k9")
    with pytest.raises(InvalidValueError, match="has no fidelity 3000; nearest: 3072"):
        fit_supernet(task, 0, fidelities=[3000])


def test_a_proxy_counts_first_games_only_and_cuts_games_without_end() -> None:
    task = tiny("minatar-ss1/freeway@smoke")  # its games take 2 500 steps; the smoke recipe cuts them after 250
    proxies = measure_proxies(make_supernet(task), task, ["k1-k1", (3, 1)], 3, np.random.SeedSequence(0), CPU)
    assert [proxy.arch.name for proxy in proxies] == ["k1-k1", "k3-k1"]
    assert [proxy.env_steps for proxy in proxies] == [750, 750]
    single = measure_proxies(make_supernet(task), task, ["k1-k1"], 1, np.random.SeedSequence(0), CPU)[0]
    assert len(single.returns) == 1 and math.isnan(single.std)


def test_seeds_of_proxies_and_of_fits_and_of_trainings_never_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    task, keys = tiny(), []
    real = supernet.make_games

    def spy(task: Task, count: int) -> Any:
        games = real(task, count)
        reset = games.reset
        games.reset = lambda seeds: keys.append((seeds.entropy, seeds.spawn_key)) or reset(seeds)  # type: ignore[method-assign]
        return games

    monkeypatch.setattr(supernet, "make_games", spy)
    for seed in (0, 1):
        fitted = fit_supernet(task, seed)
        measure_proxies(fitted.supernet, task, ["k1-k1"], 1, fitted.proxy_seeds.spawn(1)[0], CPU)
    assert len(keys) == len(set(keys)) == 2 * (1 + len(task.fidelities) * len(task.space) + 1)
    trainings = {ppo.seed_sequence(task, arch, seed).spawn_key for arch in task.space for seed in (0, 1)}
    assert not any(key[: len(own)] == own for _, key in keys for own in trainings)


def test_a_supernet_is_a_second_table_beside_the_task_s_own(tmp_path: Path) -> None:
    task = tiny()
    path = train_supernet(task, 0, tmp_path)
    assert path.parent == shards.shard_folder(tmp_path, task.supernet) != shards.shard_folder(tmp_path, task)
    cells = {(arch.name, 0) for arch in task.space}
    assert shards.trained_cells(tmp_path, task.supernet) == cells
    assert shards.trained_cells(tmp_path, task) == set()
    assert shards.commit_shards(tmp_path, task) == 0
    assert shards.commit_shards(tmp_path, task.supernet) == len(cells)
    assert list(read_manifest(tmp_path)) == ["supernet/minatar-tiny.breakout.smoke.parquet"]
    frame = table_io.read_table(tmp_path, task.supernet).to_pandas()
    assert len(frame) == len(task.fidelities) * len(task.space)
    assert not frame.isna().any(axis=None)
    final = frame[frame["fidelity"] == task.max_fidelity].set_index("arch")
    fitted = fit_supernet(task, 0, fidelities=[task.max_fidelity])
    for proxy in fitted.points[0].proxies:
        row = final.loc[proxy.arch.name]
        assert (row["proxy"], row["proxy_games"], row["params"]) == (
            proxy.mean, len(proxy.returns), task.network(proxy.arch).params,
        )  # fmt: skip


def test_rows_of_another_supernet_recipe_are_refused(tmp_path: Path) -> None:
    task = tiny()
    train_supernet(task, 0, tmp_path)
    shards.commit_shards(tmp_path, task.supernet)
    recipe = dataclasses.replace(task.supernet_recipe, final_games=5)
    other = SideTable.of(task, "supernet", "supernets", supernet=recipe)
    assert other.digest != task.supernet.digest != task.digest
    with pytest.raises(RecipeMismatchError, match=other.digest):
        table_io.read_table(tmp_path, other)
