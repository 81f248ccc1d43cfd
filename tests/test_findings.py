"""The findings page: its statistics on tables with known answers, and that every number comes from the tables."""

from __future__ import annotations

import math
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import choosing, made_runs
from made_tables import (
    SINGLE_SEED,
    TWO_BY_SEED,
    write_made_accuracies,
    write_made_latencies,
    write_made_supernets,
    write_made_table,
)

from nasbench_rl import cli, load, store
from nasbench_rl.errors import InvalidValueError, TableError
from nasbench_rl.experiment import Search
from nasbench_rl.findings import page, page_random, page_reasons
from nasbench_rl.findings.__main__ import RECORD, main
from nasbench_rl.findings.against_random import compare_task, over_tasks
from nasbench_rl.findings.answers import Answers, answers
from nasbench_rl.findings.fidelity import Ranking, _top_overlap, fidelity_finding, shown
from nasbench_rl.findings.latency import latency_findings, ratio
from nasbench_rl.findings.searches import Chosen, Searches, digests, record, snapshot
from nasbench_rl.findings.spread import spread_finding
from nasbench_rl.method import method_names
from nasbench_rl.pool import run_all
from nasbench_rl.ranking_noise import kendall_draws
from nasbench_rl.ranks import kendall_tau
from nasbench_rl.variance import one_way, two_way

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "findings.md"
IMAGES = "nsc-chain/fashion-mnist@lite"
# Shrout and Fleiss (1979), Table 2: six targets, four judges.
JUDGED = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four train seeds, a single one, and an image task with three seeds of most networks."""
    folder = tmp_path_factory.mktemp("tables")
    write_made_table(folder, TWO_BY_SEED, 4)
    write_made_table(folder, SINGLE_SEED, 1)
    write_made_supernets(folder, TWO_BY_SEED, 3)
    write_made_latencies(folder, TWO_BY_SEED)
    kinds = ("conv1", "conv3", "conv5", "maxpool2")
    deep = [f"{first} {second}" for first in kinds for second in kinds]
    write_made_accuracies(folder, IMAGES, deep[:12], 3)
    write_made_accuracies(folder, IMAGES, deep[12:], 1)
    return folder


@pytest.fixture(scope="module")
def runs(tables: Path) -> pd.DataFrame:
    found = made_runs(tables, [TWO_BY_SEED, SINGLE_SEED], ("random_search", "local_search"))
    worst = {task: str(load(task, tables=tables).space[0]) for task in (TWO_BY_SEED, SINGLE_SEED)}
    never = [choosing(found[found["task"] == task], tables, "worst", arch) for task, arch in worst.items()]
    return pd.concat([found, choosing(found, tables, "always_best"), *never], ignore_index=True)


@pytest.fixture(scope="module")
def found(tables: Path, runs: pd.DataFrame) -> Answers:
    return answers(record(runs, tables), tables)


def test_variance_components_agree_with_a_published_example() -> None:
    one = one_way(JUDGED)
    assert one.share == pytest.approx(0.17, abs=0.005) and one.high == pytest.approx(0.72, abs=0.005)
    assert one.low == 0 and math.isnan(one.sd_seed) and (one.architectures, one.trainings) == (6, 24)
    two = two_way(JUDGED)
    assert two.share == pytest.approx(0.71, abs=0.005)
    assert (two.low, two.high) == pytest.approx((0.34, 0.95), abs=0.005)
    assert two.sd_seed > two.sd_rest > 0


def test_variance_components_find_what_scores_were_made_of() -> None:
    rng = np.random.default_rng(0)
    scores = 3 * rng.normal(size=(400, 1)) + 4 * rng.normal(size=(400, 4))
    scores[rng.random(scores.shape) < 0.2] = np.nan
    found = one_way(scores)
    assert found.share == pytest.approx(9 / 25, abs=0.05) and found.low < found.share < found.high
    assert (found.sd_architecture, found.sd_rest) == pytest.approx((3, 4), abs=0.3)
    assert found.repeats(0.9) == pytest.approx(9 * (1 - found.share) / found.share)


def test_variance_of_equal_scores_is_not_made_up() -> None:
    assert math.isnan(one_way(np.ones((3, 2))).share) and math.isnan(one_way(np.ones((3, 2))).repeats(0.9))
    assert one_way([[1, 1], [2, 2]])[:3] == (1, 1, 1)
    assert one_way([[1, 2], [2, 1]]).share == 0 and one_way([[1, 2], [2, 1]]).repeats(0.9) == math.inf


@pytest.mark.parametrize("reliability", [1.0, -0.1, math.nan])
def test_repeats_are_for_a_reliability_below_one(reliability: float) -> None:
    with pytest.raises(InvalidValueError, match="reliability"):
        one_way([[1, 2], [2, 3]]).repeats(reliability)


@pytest.mark.parametrize("scores", [[[1.0], [2.0]], [[1.0, 2.0]], [1.0, 2.0]])
def test_variance_needs_two_seeds_of_two_architectures(scores: list) -> None:
    with pytest.raises(InvalidValueError, match="needed"):
        one_way(scores)
    with pytest.raises(InvalidValueError, match="needed"):
        two_way(scores)


def test_the_best_beats_random_search_and_the_worst_loses(found: Answers) -> None:
    for task in (TWO_BY_SEED, SINGLE_SEED):
        (one,) = found.against[task]
        rows = {row.method: row for row in one.rows}
        best, worst, control = rows["always_best"], rows["worst"], rows["random_search"]
        assert 0 <= one.floor <= one.exact <= one.gap
        assert best.verdict == "better" and best.regret == 0 and best.difference == pytest.approx(-one.exact)
        assert worst.verdict == "worse" and worst.improvement < 0.01
        assert control.is_control and math.isnan(control.adjusted) and one.rows[-1] is control
        assert abs(control.test[0]) < 4 * control.test[1]
        assert one.of("better")[0] is best and one.of("worse") == [worst]
    (overall,) = found.overall
    pooled = {row.method: row for row in overall.rows}
    parts = [found.against[task][0] for task in (TWO_BY_SEED, SINGLE_SEED)]
    expected = np.mean([one.exact / one.gap for one in parts])
    assert overall.exact == pytest.approx(expected) and pooled["always_best"].difference == pytest.approx(-expected)
    assert overall.tasks == 2 and overall.train_seeds == 1 and pooled["always_best"].verdict == "better"


def test_reasons_are_given_for_what_did_not_win_alone(found: Answers) -> None:
    winners = {row.method for one in found.main for row in one.of("better")}
    losers = {row.method for one in found.main for row in one.rows if not row.is_control} - winners
    assert winners and losers
    reasons = dict.fromkeys(winners | losers, ("there", "here"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_reasons, "REASONS", reasons)
        lines = page_reasons.reasons_section(found)
    assert {line.split(" | ")[0].removeprefix("| ") for line in lines if "there | here" in line} == losers
    assert set(page_reasons.REASONS) <= set(method_names())


def test_methods_left_out_or_run_too_seldom_have_a_row_that_says_so(found: Answers) -> None:
    overall = found.overall[0]
    fewer = tuple(replace(row, runs=3) if row.method == "local_search" else row for row in overall.rows)
    few = Chosen(SINGLE_SEED, 10_000_000, "darts", "1", {"k1-k1-k1": 1})
    searches = replace(
        found.searches,
        searches=(*found.searches.searches, few),
        left_out=(f"darts: no search of {TWO_BY_SEED} is stored", "treecell: it grows branches: no conv1 | conv3"),
    )
    lines = page_reasons.reasons_section(replace(found, overall=(replace(overall, rows=fewer),), searches=searches))
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}
    assert f"not compared: a single run on `{SINGLE_SEED}`; no search of {TWO_BY_SEED} is stored" in rows["darts"]
    assert "one run tells nothing" in rows["darts"] and "50 epochs of search" in rows["darts"]
    assert "not compared: no run; it grows branches: no conv1 \\| conv3" in rows["treecell"]
    assert "3 runs, where others have 20" in rows["local_search"]
    assert lines[0].endswith("or are not compared") and "2 more were not compared" in lines[2]
    plain = page_reasons.reasons_section(found)
    assert "compared" not in " ".join(plain) and "runs, where" not in " ".join(plain)


def test_every_method_that_is_no_random_search_has_a_reason() -> None:
    missing = {name for name in method_names() if name not in page_reasons.REASONS}
    assert missing <= {"random_search"}


def test_noise_of_the_table_is_known_from_enough_test_seeds_on(found: Answers, tmp_path: Path) -> None:
    (two,), (single,) = found.against[TWO_BY_SEED], found.against[SINGLE_SEED]
    assert (two.train_seeds, single.train_seeds) == (2, 1)
    assert all(math.isnan(bound) for one in (two, single) for row in one.rows for bound in row.table_interval)
    text = page.markdown(found, "findings")
    assert "over train seeds too" not in text
    assert f"Few train seeds are behind the test scores of `{TWO_BY_SEED}` (2) and `{SINGLE_SEED}` (1)." in text
    write_made_table(tmp_path, TWO_BY_SEED, 10)
    bench = load(TWO_BY_SEED, tables=tmp_path)
    searches = [one for one in found.searches.searches if one.task == TWO_BY_SEED]
    many = compare_task(bench, searches[0].budget, searches)
    assert many is not None and many.train_seeds == 5
    for row in many.rows:
        assert row.table_interval[0] <= row.difference <= row.table_interval[1]
    assert "over train seeds too" in "\n".join(page_random.random_section([many], ""))


def test_few_runs_that_agree_are_not_certain(tables: Path) -> None:
    bench = load(SINGLE_SEED, tables=tables)
    best, budget = bench.optimum().arch, 3 * bench.task.max_fidelity

    def verdict(runs: int) -> str:
        one = compare_task(bench, budget, [Chosen(SINGLE_SEED, budget, "mine", "1", {best: runs})])
        assert one is not None
        return one.rows[0].verdict

    assert [verdict(runs) for runs in (1, 2, 100)] == ["open", "open", "better"]


def test_a_method_that_ends_as_random_search_does_differs_by_nothing(tables: Path) -> None:
    from nasbench_rl.summary import random_search_chances

    bench = load(TWO_BY_SEED, tables=tables)
    budget = 3 * bench.task.max_fidelity
    chances = random_search_chances(bench, budget)
    assert chances is not None
    counts = np.rint(chances[-1] * 100_000).astype(int)
    chosen = {arch.name: int(count) for arch, count in zip(bench.space, counts, strict=True)}
    one = compare_task(bench, budget, [Chosen(TWO_BY_SEED, budget, "same", "1", chosen)])
    assert one is not None
    assert one.rows[0].difference == pytest.approx(0, abs=1e-3) and one.rows[0].improvement == pytest.approx(0.5, 1e-3)
    assert one.rows[0].verdict == "open"


def test_random_search_spends_what_the_runs_did(tables: Path) -> None:
    from nasbench_rl.summary import random_search_chances

    bench = load(TWO_BY_SEED, tables=tables)
    budget, worst = 6 * bench.task.max_fidelity, bench.space[0].name
    spent = {"all": {}, "half": {"3": 10}, "some": {"2": 5, "4": 5}, "beyond": {"99": 10}}
    searches = [Chosen(TWO_BY_SEED, budget, name, "1", {worst: 10}, spent=each) for name, each in spent.items()]
    one, chances = compare_task(bench, budget, searches), random_search_chances(bench, budget)
    assert one is not None and chances is not None
    scores = bench.table.view("test").mean[:, -1]
    exact = scores.max() - chances @ scores  # after 1, 2, … trainings
    rows = {row.method: row for row in one.rows}
    beside = {name: row.regret - row.difference for name, row in rows.items()}
    assert beside == pytest.approx(
        {"all": exact[5], "half": exact[2], "some": (exact[1] + exact[3]) / 2, "beyond": exact[5]}
    )
    assert {name: row.spent for name, row in rows.items()} == {"all": 6, "half": 3, "some": 3, "beyond": 6}
    assert one.exact == pytest.approx(exact[5]) and exact[5] < exact[2]


def test_what_was_spent_is_recorded_in_whole_trainings(tables: Path) -> None:
    whole = load(SINGLE_SEED, tables=tables).task.max_fidelity
    runs, _ = run_all([Search(SINGLE_SEED, "random_search", 3 * whole + 1, tables=str(tables))], 0, 4, 1)
    (recorded,) = record(runs, tables).searches
    assert recorded.spent == {"3": 4}
    (begun,) = record(runs.assign(spent=runs["spent"] + 1), tables).searches
    assert begun.spent == {"4": 4}


def test_over_tasks_keeps_the_methods_that_ran_on_all(found: Answers) -> None:
    (two,), (single,) = found.against[TWO_BY_SEED], found.against[SINGLE_SEED]
    fewer = replace(single, rows=tuple(row for row in single.rows if row.method != "worst"))
    overall = over_tasks([two, fewer])
    assert {row.method for row in overall.rows} == {"always_best", "local_search", "random_search"}
    against = {TWO_BY_SEED: (two,), SINGLE_SEED: (fewer,)}
    text = page.markdown(replace(found, against=against, overall=(overall,)), "findings")
    assert "- worst did not run on every task" in text


def test_rankings_by_other_trainings_and_by_the_same(found: Answers) -> None:
    of_task = {one.task: one for one in found.fidelities}
    two, single, images = of_task[TWO_BY_SEED], of_task[SINGLE_SEED], of_task[IMAGES]
    assert not two.same_trainings and two.seeds == ((0, 2), (1, 3)) and two.halves.seeds == 4
    assert 0.7 < two.halves.agreement.tau < 1 and len(two.supernets) == 3
    assert single.same_trainings and math.isnan(single.halves.agreement.tau) and single.supernets == ()
    assert images.same_trainings and images.architectures == 16 and images.unit == "epochs"
    bench_true = two.short
    assert bench_true.tau[-1] > bench_true.tau[0] and bench_true.low[-1] < bench_true.tau[-1] <= bench_true.high[-1]
    start = two.short.holds_from()
    assert start is not None and 0 < start < len(two.fidelities) and two.short.even_from() is not None


def test_too_few_architectures_are_not_ranked(tmp_path: Path) -> None:
    write_made_accuracies(tmp_path, IMAGES, ["conv1", "conv3", "conv5"], 3)
    bench = load(IMAGES, tables=tmp_path)
    assert fidelity_finding(bench) is None and spread_finding(bench) is None


def test_a_ranking_holds_only_after_its_last_dip() -> None:
    def ranking(*tau: float) -> Ranking:
        return Ranking(np.array(tau), *(np.full(len(tau), np.nan) for _ in range(4)), np.array(tau) - tau[-1])

    assert ranking(0.1, 0.8, 0.5, 0.75, 0.8).holds_from() == 3
    assert ranking(math.nan, 0.8, 0.8).holds_from() == 1 and ranking(0.8, 0.8).holds_from() == 0
    assert ranking(0.5, -0.1).holds_from() is None and ranking(0.5, -0.1).even_from() is None
    assert ranking(0.9, 0.5, 0.8).even_from() == 2
    by_chance = replace(ranking(0.1, 0.2, 0.3), low=np.array([-0.5, -0.3, -0.1]))
    assert by_chance.holds_from() is None and by_chance.even_from() is None, "0 is in the interval of whole trainings"


def test_the_bootstrap_of_tau_is_scipy_s() -> None:
    rng = np.random.default_rng(1)
    true, cheap = rng.normal(size=12), rng.integers(4, size=(2, 12)).astype(float)
    taus = kendall_draws(cheap, true, np.random.default_rng(0))
    counts = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), size=len(taus))
    for row in range(20):
        items = np.repeat(np.arange(12), counts[row])
        expected = [kendall_tau(one[items], true[items]) for one in cheap]
        assert taus[row] == pytest.approx(expected, nan_ok=True)


def test_a_tie_at_the_edge_of_the_top_shares_its_place() -> None:
    true = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert _top_overlap(true, true) == 1 and _top_overlap(-true, true) == pytest.approx(1 / 3)
    assert _top_overlap(np.zeros(5), true) == pytest.approx(3 / 5)
    assert _top_overlap(np.array([2.0, 1.0, 1.0, 1.0, 0.0]), true) == pytest.approx((1 + 2 * 2 / 3) / 3)


def test_the_shown_fidelities_are_stored_ones() -> None:
    assert shown(20) == [0, 1, 4, 9, 14, 17, 19] and shown(12) == [0, 1, 2, 5, 8, 10, 11] and shown(1) == [0]


def test_spread_needs_a_second_seed(found: Answers) -> None:
    of_task = {one.task: one for one in found.spreads}
    two, single, images = of_task[TWO_BY_SEED], of_task[SINGLE_SEED], of_task[IMAGES]
    last = two.trainings[-1]
    # Made of 2 · (sum of two kernels of 1 to 5), variance 16 over the 25 drawn without mean error, plus noise of 1.
    assert last is not None and last.share == pytest.approx(16 / 17, abs=0.03) and two.seeds == 4
    assert last.sd_rest == pytest.approx(1, abs=0.15)
    assert single.trainings == () and single.seeds == 1 and single.spread > 0
    ends = images.trainings[-1]
    assert ends is not None and (ends.architectures, ends.trainings, images.seeds) == (12, 36, 3)
    assert len(two.supernets) == 20 and two.supernet_seeds == 3 and single.supernets == ()


def test_a_seed_in_the_making_is_not_compared(tmp_path: Path) -> None:
    names = [arch.name for arch in load_space()]
    write_made_table(tmp_path, TWO_BY_SEED, 1)
    write_made_table(tmp_path, TWO_BY_SEED, 2, names[:15])
    bench = load(TWO_BY_SEED, tables=tmp_path)
    assert bench.table.seeds.tolist() == [0, 1]
    one, ranked = spread_finding(bench), fidelity_finding(bench)
    assert one is not None and one.trainings == () and one.seeds == 1
    assert ranked is not None and ranked.same_trainings and ranked.architectures == 25


def load_space() -> list:
    from nasbench_rl.task import get_task

    return list(get_task(TWO_BY_SEED).space)


def test_the_page_says_what_is_known_and_what_is_not(found: Answers) -> None:
    text = page.markdown(found, "findings")
    assert all(question in text for question in page.QUESTIONS)
    (first,), second, third = page.headlines(found)
    assert first.startswith("Yes, over 2 tasks") and "not known yet" in first
    assert second[0].startswith("On 3 of 3 tasks rankings hold") and "on 2 of them" in second[0]
    assert "on agents (1 of 2 tasks), and 100 % on image classifiers (1 of 1 task)" in third[0]
    assert all(f"- {each}\n" in text for each in (*second[1:], *third[1:]))
    assert any(each.startswith(f"On `{SINGLE_SEED}` this is not known yet") for each in third)
    assert any(each.startswith(f"On `{TWO_BY_SEED}` 9") and "is architecture" in each for each in third)
    assert f"no exact line for `{IMAGES}`" in text
    assert "nan" not in text.replace("nasbench", "") and "inf" not in re.sub(r"info|inferen", "", text)
    named = set(re.findall(r"\(findings/([^)]*)\.png\)", text))
    assert named == {name for name, _ in page.figures(found)} and len(named) == 9
    for digest in found.searches.tables.values():
        assert f"| {digest} |" in text


def test_times_are_compared_with_what_is_counted(tables: Path, found: Answers, tmp_path: Path) -> None:
    one, many = latency_findings(tables)
    assert (one.task, one.batch, many.batch, len(one.seconds)) == (TWO_BY_SEED, 1, 32, 25)
    assert one.tau_flops == pytest.approx(1), "the made times are proportional to FLOPs"
    assert ratio(one.seconds) == pytest.approx(ratio(one.flops)) and ratio(one.params) < ratio(one.flops)
    text = page.markdown(found, "findings")
    assert "At batch 1 they order the networks of a task with τ 1.00 (parameters: 1.00)" in text
    assert "| latency/" in text.replace("`", "") and "times of 25 networks" in text
    write_made_latencies(tmp_path, SINGLE_SEED, archs=["k1-k1", "k1-k2", "k1-k3", "k1-k4"])
    assert latency_findings(tmp_path) == (), "four networks are no ranking"


def test_every_search_is_counted_once(tables: Path, runs: pd.DataFrame, found: Answers) -> None:
    assert {one.runs for one in found.searches.searches} == {20}
    assert len(found.searches.searches) == runs.groupby(["task", "method"]).ngroups
    assert sorted(found.searches.tables) == sorted(
        name for name in store.read_manifest(tables) if name.split("/")[0] in ("rl", "nsc", "supernet", "latency")
    )


def test_runs_of_other_tables_are_refused(tables: Path, runs: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="were made with table 000; .* holds"):
        record(runs.assign(table="000"), tables)
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    with pytest.raises(TableError, match="run the searches again"):
        record(runs, tmp_path)


def test_the_command_runs_methods_and_redraws_the_same_page(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, few = tmp_path / "docs" / "page.md", tmp_path / "tables"
    write_made_table(few, SINGLE_SEED, 1)
    arguments = ["--tables", str(few), "--out", str(out)]
    run = ["--methods", "random_search", "local_search", "--seeds", "4", "--jobs", "1", "--budgets", "3x"]
    assert cli.run(main, [*arguments, *run]) == 0, capsys.readouterr().err
    first = {path.name: path.read_bytes() for path in [out, *(out.parent / "page").iterdir()]}
    assert {"page.md", RECORD} < first.keys() and sum(name.endswith(".png") for name in first) == 2
    assert "4 search seeds" in out.read_text() and "(page/random." in out.read_text()
    assert cli.run(main, [*arguments, "--redraw"]) == 0
    assert {path.name: path.read_bytes() for path in [out, *(out.parent / "page").iterdir()]} == first
    write_made_table(few, SINGLE_SEED, 2)
    assert cli.run(main, [*arguments, "--redraw"]) == 2
    assert "run without --redraw" in capsys.readouterr().err


def test_an_unknown_method_is_refused_before_anything_runs(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--tables", str(tables), "--out", str(tmp_path / "x.md"), "--methods", "random_serch"]
    assert cli.run(main, arguments) == 2
    assert "did you mean 'random_search'" in capsys.readouterr().err and not (tmp_path / "x.md").exists()


@pytest.mark.parametrize("option", ["--runs", "--methods", "--budgets"])
def test_an_option_that_names_nothing_is_refused(
    option: str, tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(main, ["--tables", str(tables), "--out", str(tmp_path / "page.md"), option, ""]) == 2
    error = capsys.readouterr().err
    assert "names nothing" in error and error.count("\n") == 1


def test_the_command_reads_runs(tables: Path, runs: pd.DataFrame, tmp_path: Path) -> None:
    store.write_frame(runs[runs["task"] == SINGLE_SEED], tmp_path / "runs.parquet")
    out = tmp_path / "findings.md"
    assert cli.run(main, ["--tables", str(tables), "--runs", str(tmp_path), "--out", str(out)]) == 0
    assert "1 of 3 methods beat it (the most: always_best" in out.read_text()


def test_an_unreadable_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text("{}")
    for path in (tmp_path / RECORD, tmp_path / "absent.json"):
        with pytest.raises(TableError, match="run without --redraw"):
            Searches.read(path)


def test_a_snapshot_is_a_folder_of_tables(tables: Path, tmp_path: Path) -> None:
    assert digests(snapshot(tables, tmp_path / "copy")) == digests(tables)


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True, timeout=600).stdout


def tables_of_the_page(named: dict[str, str], to: Path) -> Path | None:
    """The folder of tables that the committed page was made from: today's, or that of an earlier commit."""
    if digests(ROOT / "tables") == named:
        return snapshot(ROOT / "tables", to)
    if not (ROOT / ".git").exists():
        pytest.skip("the tables have grown since the page was made, and there is no history to find the old ones in")
    for commit in git("log", "--format=%H", "--", "tables/MANIFEST.json").decode().split():
        content = git("show", f"{commit}:tables/MANIFEST.json")
        to.mkdir(exist_ok=True)
        (to / store.MANIFEST).write_bytes(content)
        if digests(to) == named:
            for name in named:  # what the page reads: of surrogates the description alone
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                (to / name).write_bytes(git("show", f"{commit}:tables/{name}"))
            return to
    return None


def test_the_committed_page_is_what_the_command_makes_of_its_tables(tmp_path: Path) -> None:
    searches = Searches.read(PAGE.with_suffix("") / RECORD)
    folder = tables_of_the_page(searches.tables, tmp_path / "tables")
    assert folder is not None, "docs/findings.md names tables that no commit has: make findings, after committing them"
    found = answers(searches, folder)
    assert page.markdown(found, PAGE.stem) == PAGE.read_text(), "make findings ARGS=--redraw, or make findings"
    drawn = {f"{name}.png" for name, _ in page.figures(found)}
    assert drawn == {path.name for path in PAGE.with_suffix("").glob("*.png")}


def test_a_mean_that_one_bad_architecture_moves_is_no_victory(tables: Path) -> None:
    """Hardly ever the worst, mostly worse than random search: the mean is lower, and most runs lose."""
    one = compare_task(
        load(TWO_BY_SEED, tables=tables), 3_000_000, [Chosen(TWO_BY_SEED, 3_000_000, "m", "1", {"k5-k5": 100})]
    )
    assert one is not None
    row = one.rows[0]
    assert row.verdict == "better"
    lucky = replace(row, improvement_interval=(0.3, 0.4))
    assert (
        lucky.verdict == "mixed" and replace(lucky, difference=1.0, improvement_interval=(0.4, 0.6)).verdict == "mixed"
    )
    assert replace(lucky, difference=1.0).verdict == "worse" and replace(lucky, adjusted=0.5).verdict == "open"


def test_a_task_that_ranks_by_chance_is_left_out_of_what_is_said_over_all(
    tables: Path, runs: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranking, "ranks", property(lambda ranking: bool(len(ranking.tau) < 20)))
    found = answers(record(runs, tables), tables)
    assert found.overall == () and TWO_BY_SEED in found.against
    text = page.markdown(found, "findings")
    assert "is left out of what is said over all tasks" in text and f"`{TWO_BY_SEED}` and `{SINGLE_SEED}` is" in text
