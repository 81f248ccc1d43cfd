"""Which networks are trained of a space that is too large to train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.tables import write_made_accuracies

from nasbench_rl import load
from nasbench_rl.benchmark.surrogate_model import ensemble
from nasbench_rl.build import reuse_chains, selection, train
from nasbench_rl.build.todo import missing_cells
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.tables import table_io
from nasbench_rl.task import ImageTask, get_task

TASK = get_task("nsc-chain/digits@lite")
assert isinstance(TASK, ImageTask)


def test_every_valid_network_up_to_a_depth_is_chosen() -> None:
    names = [arch.name for arch in selection.standing(TASK, [], 2)]
    assert len(names) == len(set(names))
    assert set(names) == {arch.name for arch in TASK.space.up_to_depth(2) if TASK.space.is_valid(arch, 8, 8)}
    assert "conv5 conv5" not in names and "conv5 conv3" in names


def test_what_is_in_the_table_is_chosen_too() -> None:
    assert [a.name for a in selection.standing(TASK, [("conv1 conv1", 0), ("conv1 conv1", 1)], 0)] == ["conv1 conv1"]
    with pytest.raises(InvalidValueError, match="--depth"):
        selection.standing(TASK, [], 0)


def test_a_tenth_is_about_a_tenth_and_the_same_each_time() -> None:
    archs = list(get_task("nsc-chain/emoji@lite").space.up_to_depth(4))
    picked = [arch for arch in archs if selection.is_repeated(arch, 10)]
    assert 0.08 < len(picked) / len(archs) < 0.12
    assert all(selection.is_repeated(arch, 1) for arch in archs)
    assert selection.is_repeated(TASK.space.parse("conv3 maxpool2"), 10) is selection.is_repeated(
        TASK.space.parse(("conv3", "maxpool2")), 10
    )


def test_rounds_end_when_the_table_has_so_many_deeper_ones(tmp_path: Path) -> None:
    write_made_accuracies(tmp_path, TASK.id, ["conv1", "conv3", "maxpool2 conv3 conv1"], seeds=1)
    rounds = 0
    while archs := selection.drawn(TASK, table_io.read_table(tmp_path, TASK), 1, 60):
        assert archs == selection.drawn(TASK, table_io.read_table(tmp_path, TASK), 1, 60), (
            "a round depends on the table"
        )
        write_made_accuracies(tmp_path, TASK.id, [arch.name for arch in archs], seeds=1)
        assert all(TASK.is_valid(arch) and len(arch.choices) > 1 for arch in archs)
        rounds += 1
    names = set(table_io.read_table(tmp_path, TASK)["arch"].to_pylist())
    assert rounds == 2 and sum(len(TASK.space.parse(name).choices) > 1 for name in names) == 60


def test_networks_are_counted_before_they_are_listed() -> None:
    chain, branched = TASK.space, get_task("nsc-multibranch/digits@lite").space
    assert selection.networks_up_to(chain, 3) == sum(1 for _ in chain.up_to_depth(3)) == 399
    assert selection.networks_up_to(chain, 99) == len(chain) == 329_554_456
    assert selection.networks_up_to(branched, 2) == 9 + 9 * 22 >= sum(1 for _ in branched.up_to_depth(2))


@pytest.mark.parametrize(
    ("id_", "depth", "said"),
    [
        (
            "nsc-chain/digits@lite",
            10,
            r"--depth 10 of nsc-chain is 329,554,456 networks.* at most --depth 6, .*--drawn",
        ),
        ("nsc-chain/digits@lite", 7, r"is 960,799 networks"),
        ("nsc-multibranch/digits@lite", 4, r"is up to 471,249 networks.* at most --depth 3,"),
    ],
)
def test_more_networks_than_can_be_listed_are_refused(id_: str, depth: int, said: str) -> None:
    task = get_task(id_)
    assert isinstance(task, ImageTask)
    with pytest.raises(InvalidValueError, match=said):
        selection.standing(task, [], depth)
    selection.check_depth(task, 3)


def test_drawing_what_there_is_not_comes_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_made_accuracies(tmp_path, TASK.id, ["conv1"], seeds=1)
    rows = table_io.read_table(tmp_path, TASK)
    with pytest.raises(InvalidValueError, match="--depth 10 layers, and nsc-chain has none of more than 10; allowed"):
        selection.drawn(TASK, rows, 10, 5)
    monkeypatch.setattr(selection, "VAIN_DRAWS", 100)
    monkeypatch.setattr(ImageTask, "is_valid", lambda task, arch: arch.name == "conv1 conv1")
    monkeypatch.setattr(type(TASK.space), "sample", lambda space, rng: space.parse("conv1 conv1"))
    assert [arch.name for arch in selection.drawn(TASK, rows, 1, 5)] == ["conv1 conv1"], "what there is, is trained"
    write_made_accuracies(tmp_path, TASK.id, ["conv1 conv1"], seeds=1)
    with pytest.raises(InvalidValueError, match=r"--drawn 5: .* has 1 with more than 1 layers.* up to 1,"):
        selection.drawn(TASK, table_io.read_table(tmp_path, TASK), 1, 5)


def test_half_of_a_round_is_near_the_best(tmp_path: Path) -> None:
    best = "avgpool2 conv1 conv1 conv1 conv1"
    write_made_accuracies(tmp_path, TASK.id, [best], seeds=1)
    archs = selection.drawn(TASK, table_io.read_table(tmp_path, TASK), 1, 1000)
    layers = np.array([sum(a == b for a, b in zip(best.split(), arch.name.split(), strict=False)) for arch in archs])
    assert (layers[1::2] >= 2).mean() > 0.8 > (layers[::2] >= 2).mean()


def test_chains_do_not_count_as_drawn_where_there_are_branches() -> None:
    task = get_task("nsc-multibranch/font-letters@lite")
    assert isinstance(task, ImageTask)
    names = ["conv1", "conv1 | conv3 | conv5", "conv1 | conv3@0", "add(0,0)", "conv1 | add(0,1)"]
    assert selection.deeper(task, names, 1) == {"conv1 | conv3@0", "conv1 | add(0,1)"}
    assert selection.deeper(TASK, ["conv1", "conv1 conv3"], 1) == {"conv1 conv3"}


def test_chains_that_were_trained_alike_are_taken_over(tmp_path: Path) -> None:
    chains, task = get_task("nsc-chain/font-letters@lite"), get_task("nsc-multibranch/font-letters@lite")
    assert isinstance(chains, ImageTask) and isinstance(task, ImageTask)
    assert reuse_chains.chain_task(task) is chains and reuse_chains.chain_task(chains) is None
    assert reuse_chains.adopt(tmp_path, task) == 0, "no table yet"
    write_made_accuracies(tmp_path, chains.id, ["conv1", "conv3 maxpool2"], seeds=2)
    write_made_accuracies(tmp_path, task.id, ["conv1", "conv1 | add(0,1)"], seeds=1)
    assert reuse_chains.adopt(tmp_path, task) == 3 and reuse_chains.adopt(tmp_path, task) == 0
    bench, other = load(task, tables=tmp_path), load(chains, tables=tmp_path)
    taken = bench.query("conv3 | maxpool2", seed=1)
    assert dict(taken.metrics) == dict(other.query("conv3 maxpool2", seed=1).metrics)
    assert (taken.params, taken.flops) == (task.size("conv3 | maxpool2").params, task.size("conv3 | maxpool2").flops)
    rows = table_io.read_table(tmp_path, task)
    assert set(rows["machine"].to_pylist()) == {"made"} and set(rows["recipe"].to_pylist()) == {task.digest}


def test_chains_are_spared_and_left_to_their_own_space(tmp_path: Path) -> None:
    chains, task = get_task("nsc-chain/font-letters@lite"), get_task("nsc-multibranch/font-letters@lite")
    assert isinstance(task, ImageTask)
    write_made_accuracies(tmp_path, chains.id, ["conv1", "conv3", "conv3 maxpool2"], seeds=1)
    cells = {cell.arch for cell in missing_cells(tmp_path, [task], 1, depth=1)}
    assert "add(0,0)" in cells and not cells & {"conv1", "conv3"}, "as a dry run counts, before they are taken over"
    reuse_chains.adopt(tmp_path, task)
    write_made_accuracies(tmp_path, task.id, ["conv1 | add(0,1)"], seeds=1)
    assert {cell.arch for cell in missing_cells(tmp_path, [task], 3)} == {"conv1 | add(0,1)"}
    assert ensemble.not_chains(task, ["conv1 | conv3", "conv1 | conv3@0"]) == ["conv1 | conv3@0"]
    assert ensemble.not_chains(chains, ["conv1 conv3"]) == ["conv1 conv3"]


def test_a_broken_table_of_chains_holds_up_no_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chains, task = get_task("nsc-chain/font-letters@lite"), get_task("nsc-multibranch/font-letters@lite")
    write_made_accuracies(tmp_path, chains.id, ["conv1"], seeds=1)
    (tmp_path / table_io.table_name(chains)).write_bytes(b"cut")
    train._adopt_chains(tmp_path, [task])
    said = capsys.readouterr().out
    assert said.startswith(f"no chains are taken over into {task.id}: ") and "checksum" in said
    assert missing_cells(tmp_path, [task], 1, depth=1)


def test_networks_with_branches_are_drawn_as_an_agent_meets_them(tmp_path: Path) -> None:
    """Its pointers follow the newest layer, so that its networks have fewer leaves than those drawn from the space."""
    task = get_task("nsc-multibranch/font-letters@lite")
    assert isinstance(task, ImageTask)
    write_made_accuracies(tmp_path, task.id, ["conv1"], seeds=1)
    rows, found = table_io.read_table(tmp_path, task), []
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(selection, "ROUND", 120)
        patch.setattr(selection, "PARENTS", 0)
        found = selection.drawn(task, rows, 1, 121)
    rng = np.random.default_rng(0)
    sampled = [arch for arch in (task.space.sample(rng) for _ in range(400)) if len(arch.choices) > 1][:120]
    assert len(found) == 120 and all(task.is_valid(arch) for arch in found)
    assert np.mean([leaves(arch) for arch in found]) + 0.5 < np.mean([leaves(arch) for arch in sampled])


def leaves(arch: Architecture) -> int:
    """Layers that feed no other."""
    fed = {source for _, _, _, first, second in arch.choices for source in (first, second)}
    return sum(vector[0] not in fed for vector in arch.choices)
