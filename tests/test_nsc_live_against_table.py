"""Live NSC trainings beside the table's seeds in baselines/README.md: what lies within what, and what is refused."""

from __future__ import annotations

import nsc_live_against_table as tool
import numpy as np
import pytest
from support.tables import write_made_accuracies

from nasbench_rl import load
from nasbench_rl.benchmark import Benchmark
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.records import Evaluation

ID = "nsc-chain/digits@lite"
SEVERAL, ONE = ("conv1", "maxpool2 conv1"), "conv3"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    folder = tmp_path_factory.mktemp("tables")
    write_made_accuracies(folder, ID, [*SEVERAL, ONE], seeds=1)
    write_made_accuracies(folder, ID, list(SEVERAL), seeds=3)
    return load(ID, tables=folder)


def made(bench: Benchmark, shift: float) -> tool.Train:
    """A training whose scores are those of train seed 0, shifted."""
    from dataclasses import replace

    def train(arch: str, seed: int) -> tuple[Evaluation, Evaluation]:
        assert seed == 3, "the first that the table lacks"
        found = [bench.query(arch, seed=0, split=split) for split in tool.SPLITS]
        return replace(found[0], score=found[0].score + shift), replace(found[1], score=found[1].score + shift)

    return train


def test_each_network_is_compared_on_both_splits_with_all_its_seeds(bench: Benchmark) -> None:
    found = tool.compare(bench, SEVERAL, made(bench, 0.0))
    assert [(one.arch, one.split) for one in found] == [(a, s) for a in SEVERAL for s in ("validation", "test")]
    for one in found:
        assert one.stored == tuple(bench.query(one.arch, seed=seed, split=one.split).score for seed in (0, 1, 2))
        assert one.live == one.stored[0] and one.verdict == "both"
    text = tool.block(bench, found)
    assert "4 of 4 live accuracies lie between" in text and ", 4 within two standard deviations" in text
    far = tool.compare(bench, SEVERAL, made(bench, 0.3))
    assert {one.verdict for one in far} == {"neither"} and "0 of 4 live accuracies" in tool.block(bench, far)


def test_the_verdict_tells_the_two_spreads_apart() -> None:
    def verdict(live: float) -> str:
        return tool.Compared("conv1", "test", live, (0.4, 0.5, 0.6)).verdict

    assert [verdict(live) for live in (0.45, 0.6, 0.69, 0.71, 0.31, 0.29)] == [
        "both", "both", "the second", "neither", "the second", "neither",
    ]  # fmt: skip
    assert tool.Compared("conv1", "test", 0.0, (0.4, 0.5, 0.6)).band == pytest.approx((0.3, 0.7))
    skewed = tool.Compared("conv1", "test", 0.1, (0.1, *(0.9,) * 11))
    assert skewed.verdict == "the first", "one draw far from many lies outside their band"


def test_what_is_to_be_expected_is_what_draws_do() -> None:
    draws = np.random.default_rng(0).normal(size=(20_000, 4))
    stored, further = draws[:, :3], draws[:, 3]
    inside = (further >= stored.min(axis=1)) & (further <= stored.max(axis=1))
    near = np.abs(further - stored.mean(axis=1)) <= 2 * stored.std(axis=1, ddof=1)
    assert tool.chance_in_reach(3) == 0.5 == pytest.approx(inside.mean(), abs=0.015)
    assert tool.chance_in_band(3) == pytest.approx(near.mean(), abs=0.015)


def test_a_network_with_too_few_seeds_is_refused_before_anything_is_trained(bench: Benchmark) -> None:
    def never(arch: str, seed: int) -> tuple[Evaluation, Evaluation]:
        raise AssertionError("trained")

    for arch, count in ((ONE, 1), ("conv5", 0)):
        with pytest.raises(InvalidValueError, match=f"'{arch}' has {count} train seeds .* {'; '.join(SEVERAL)}"):
            tool.compare(bench, [SEVERAL[0], arch], never)


def test_the_committed_page_has_the_networks_that_the_tool_trains() -> None:
    block = (tool.BASELINES / "README.md").read_text().split(tool.BEGIN)[1].split(tool.END)[0]
    assert all(block.count(f"| `{arch}` |") == 2 for arch in tool.ARCHS), "stale; run: make live-nsc"
    bench = load(tool.TASK, tables=tool.ROOT / "tables")
    assert all(len(tool.seeds_of(bench, arch)) >= tool.FEWEST_SEEDS for arch in tool.ARCHS)
