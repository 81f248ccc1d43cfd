"""The leaderboard's numbers against their definitions, and the words that are made of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.runs import choosing, made_runs
from support.tables import DEEP, SINGLE_SEED, TWO_BY_SEED, made_rows, write_made_table

from nasbench_rl import load
from nasbench_rl._utils.text import show
from nasbench_rl.findings.random_search import compare_task
from nasbench_rl.findings.searches import record
from nasbench_rl.leaderboard.answers import Answer, answers
from nasbench_rl.leaderboard.board import luck_note
from nasbench_rl.leaderboard.checklist import checklist
from nasbench_rl.leaderboard.pareto import judge_fronts
from nasbench_rl.leaderboard.ranking import ALL, Report, build_report, round_number
from nasbench_rl.leaderboard.runs import _tell_apart
from nasbench_rl.leaderboard.stats import bootstrap, ranks
from nasbench_rl.leaderboard.stats.random_search import Reference
from nasbench_rl.leaderboard.stats.rank_agreement import ranks_by_luck
from nasbench_rl.leaderboard.summary import EXACT, final_rows
from nasbench_rl.leaderboard.table_stats import agreement, table_facts
from nasbench_rl.leaderboard.verdict import compare_methods, difference, verdict
from nasbench_rl.tables import table_io
from nasbench_rl.task import get_task

BOUNDS = ["regret_mean", "regret_iqm", "regret_low", "regret_high"]


@pytest.fixture(scope="module")
def runs(made_tables: Path) -> pd.DataFrame:
    return made_runs(made_tables, (TWO_BY_SEED, SINGLE_SEED))


@pytest.fixture(scope="module")
def many_seeds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """A table with train seeds enough for an interval over them, and runs on it."""
    folder = tmp_path_factory.mktemp("many")
    write_made_table(folder, TWO_BY_SEED, 10)
    return folder, made_runs(folder, (TWO_BY_SEED,))


@pytest.fixture(scope="module")
def built(runs: pd.DataFrame, made_tables: Path) -> Report:
    return build_report(runs, str(made_tables))


def row_of(built: Report, task: str, method: str) -> pd.Series:
    rows = built.frame[(built.frame["task"] == task) & (built.frame["method"] == method)]
    assert len(rows) == 1
    return rows.iloc[0]


def regrets_of(runs: pd.DataFrame, task: str, method: str) -> np.ndarray:
    final = final_rows(runs)
    return final[(final["task"] == task) & (final["method"] == method)]["regret"].to_numpy()


def test_regrets_are_those_of_the_runs(built: Report, runs: pd.DataFrame) -> None:
    for method in ("local_search", "random_search", "random_search:samples=3"):
        row, regrets = row_of(built, TWO_BY_SEED, method), regrets_of(runs, TWO_BY_SEED, method)
        assert row["regret_mean"] == round_number(regrets.mean())
        assert row["regret_iqm"] == round_number(bootstrap.interquartile_mean(regrets))
        assert row["regret_low"] <= row["regret_iqm"] <= row["regret_high"]
        assert row["runs"] == len(regrets) == 20


def test_intervals_over_train_seeds_take_enough_of_them(built: Report, many_seeds: tuple[Path, pd.DataFrame]) -> None:
    bounds = ["improvement_table_low", "improvement_table_high", "regret_table_low", "regret_table_high"]
    for method in ("local_search", "random_search", "random_search:samples=3"):
        assert row_of(built, TWO_BY_SEED, method)[bounds].isna().all(), "two test seeds"
    folder, runs = many_seeds
    row = row_of(build_report(runs, str(folder)), TWO_BY_SEED, "local_search")
    assert row["regret_table_low"] < row["regret_mean"] < row["regret_table_high"]
    assert 0 <= row["improvement_table_low"] < row["improvement"] < row["improvement_table_high"] <= 1


def test_a_task_that_ranks_by_luck_does_not_count_over_all(tmp_path: Path, made_tables: Path) -> None:
    luck = "minatar-ss1/freeway@lite"
    write_made_table(tmp_path, TWO_BY_SEED, 4)
    task = get_task(luck)
    rows = [row for arch in task.space for seed in range(2) for row in made_rows(task, arch.name, seed)]
    for row in rows:  # the second seed says the opposite of the first
        score = row["return_last100"] * (1 if row["seed"] == 0 else -1)
        row |= {"return_last100": score, "return_eval": score if row["return_eval"] is not None else None}
    table_io.write_table(tmp_path, task, [table_io.encode_rows(task, rows)])
    assert ranks_by_luck(load(luck, tables=tmp_path)) and not ranks_by_luck(load(TWO_BY_SEED, tables=tmp_path))
    both = build_report(made_runs(tmp_path, (TWO_BY_SEED, luck), ("local_search", "random_search"), 12), str(tmp_path))
    overall, alone = row_of(both, ALL, "local_search"), row_of(both, TWO_BY_SEED, "local_search")
    assert overall["improvement"] == alone["improvement"] and overall["rank"] == alone["rank"]
    assert both.ranking.tasks == 1
    assert not row_of(both, luck, "local_search")[["improvement", "regret_mean", "rank"]].isna().any(), "its own table"
    assert any(note.startswith(f"Left out: {luck}") for note in answer_for(both, "minatar-ss1@lite").notes)
    assert luck in luck_note(both.families["minatar-ss1@lite"])
    alone = both.tasks[TWO_BY_SEED].runs
    elsewhere = made_runs(tmp_path, (luck,), ("random_search:samples=3",), 12)
    mixed = build_report(pd.concat([alone, elsewhere]), str(tmp_path))
    assert "random_search:samples=3" not in set(mixed.rows("minatar-ss1@lite")["method"]), "nothing that counts"
    assert len(mixed.rows("minatar-ss1@lite", luck)) > 0
    only = build_report(made_runs(tmp_path, (luck,), ("local_search", "random_search"), 12), str(tmp_path))
    assert any("may be luck" in note for note in answer_for(only, "minatar-ss1@lite").notes)


def test_a_family_s_regrets_are_fractions_of_a_random_draw_s(made_tables: Path, runs: pd.DataFrame) -> None:
    freeway = runs[runs["task"] == TWO_BY_SEED].copy()  # a second task of the same family, with a table of its own
    folder = made_tables.parent / "family"
    write_made_table(folder, TWO_BY_SEED, 4)
    write_made_table(folder, "minatar-ss1/freeway@lite", 2)
    freeway = made_runs(folder, (TWO_BY_SEED, "minatar-ss1/freeway@lite"), ("local_search",), 12)
    built = build_report(freeway, str(folder))
    row = row_of(built, ALL, "local_search")
    shares = []
    for task in built.tasks:
        scores = load(task, tables=folder).table.view("test").mean[:, -1]
        shares.append(regrets_of(freeway, task, "local_search").mean() / (scores.max() - scores.mean()))
    assert row["regret_mean"] == round_number(np.mean(shares)) and row["unit"] == "normalised"
    tasks = [row_of(built, task, "local_search")["improvement"] for task in built.tasks]
    assert row["improvement"] == pytest.approx(np.mean(tasks), abs=0.002)


def test_improvement_agrees_with_simulated_random_search(made_tables: Path, built: Report, runs: pd.DataFrame) -> None:
    many = made_runs(made_tables, (TWO_BY_SEED,), ("random_search",), 600)
    random = regrets_of(many, TWO_BY_SEED, "random_search")[:, None]
    for method in ("local_search", "random_search:samples=3"):
        row, own = row_of(built, TWO_BY_SEED, method), regrets_of(runs, TWO_BY_SEED, method)[:, None]
        expected = ((own < random.T) + 0.5 * (own == random.T)).mean()
        assert row["improvement"] == pytest.approx(expected, abs=0.05)
        assert row["improvement_low"] < row["improvement"] < row["improvement_high"]


def test_intervals_are_corrected_for_the_number_of_methods(made_tables: Path, runs: pd.DataFrame) -> None:
    alone = build_report(runs[runs["method"] == "local_search"], str(made_tables))
    width = [
        row["improvement_high"] - row["improvement_low"]
        for row in (
            row_of(alone, TWO_BY_SEED, "local_search"),
            row_of(build_report(runs, str(made_tables)), TWO_BY_SEED, "local_search"),
        )
    ]
    assert width[0] < width[1]


def test_what_one_train_seed_cannot_tell_is_missing(built: Report) -> None:
    row = row_of(built, SINGLE_SEED, "local_search")
    names = ["improvement_table_low", "improvement_table_high", "regret_table_low", "regret_table_high"]
    assert row[names].isna().all() and not math.isnan(row["improvement_low"])


@pytest.fixture(scope="module")
def partly(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, str]:
    """Runs, and a table that is not whole, so that random search is known only by its own runs."""
    whole, part = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("partly")
    write_made_table(whole, TWO_BY_SEED, 2)
    runs = made_runs(whole, (TWO_BY_SEED,))
    chosen = sorted({*final_rows(runs)["incumbent"], "k5-k5"})
    assert len(chosen) < 25
    write_made_table(part, TWO_BY_SEED, 2, chosen)
    return runs, str(part)


def test_random_search_is_known_by_its_runs_where_the_table_is_not_complete(partly: tuple[pd.DataFrame, str]) -> None:
    runs, folder = partly
    built, alone = (build_report(some, folder) for some in (runs, runs[runs["method"] == "local_search"]))
    assert EXACT not in set(built.frame["method"])
    assert row_of(built, TWO_BY_SEED, "random_search")["improvement"] == pytest.approx(0.5)
    row, own = (row_of(one, TWO_BY_SEED, "local_search") for one in (built, alone))
    assert not math.isnan(row["improvement"]) and math.isnan(own["improvement"])
    assert row[BOUNDS].equals(own[BOUNDS]), "whatever else was estimated before"
    (answer,) = answers(alone)
    assert answer.level == "unknown" and "run random_search too" in answer.numbers


def test_a_name_that_tells_two_configurations_apart_changes_no_interval(partly: tuple[pd.DataFrame, str]) -> None:
    runs, folder = partly
    mine = runs[runs["method"] == "local_search"]
    alone = row_of(build_report(mine, folder), TWO_BY_SEED, "local_search")
    (digest,) = mine["configuration"].unique()
    built = build_report(_tell_apart(pd.concat([mine, mine.assign(configuration="0ther000")])), folder)
    assert row_of(built, TWO_BY_SEED, f"local_search {digest}")[BOUNDS].equals(alone[BOUNDS])
    assert not row_of(built, TWO_BY_SEED, "local_search 0ther000")[BOUNDS].equals(alone[BOUNDS])


def test_findings_and_leaderboard_estimate_alike(made_tables: Path, runs: pd.DataFrame) -> None:
    """Where a search spends all and is the only one, both pages estimate the same at the same level."""
    own = runs[(runs["task"] == TWO_BY_SEED) & (runs["method"] == "random_search")]
    assert (final_rows(own)["spent"] == own["budget"].iloc[0]).all()
    (chosen,) = record(own, made_tables).searches
    comparison = compare_task(load(TWO_BY_SEED, tables=made_tables), chosen.budget, [chosen])
    assert comparison is not None
    (against,) = comparison.rows
    row = row_of(build_report(own, str(made_tables)), TWO_BY_SEED, "random_search")
    found = [against.improvement, *against.improvement_interval]
    assert [round_number(value) for value in found] == [*row[["improvement", "improvement_low", "improvement_high"]]]


def test_a_family_s_row_does_not_depend_on_the_others(built: Report, made_tables: Path, runs: pd.DataFrame) -> None:
    alone = build_report(runs[runs["method"] == "local_search"], str(made_tables))
    for family in alone.families:
        one, all_ = (
            board.rows(family).set_index("method").loc["local_search", BOUNDS].tolist() for board in (alone, built)
        )
        assert one == all_


def test_hypervolumes_do_not_depend_on_the_others(made_tables: Path, runs: pd.DataFrame) -> None:
    weighed = runs[runs["task"] == TWO_BY_SEED].assign(objective="params")
    wanted = ["resource", "hypervolume", "low", "high"]
    alone, together = (
        judge_fronts(some, str(made_tables))[lambda rows: rows["method"] == "local_search"][wanted].to_numpy().tolist()
        for some in (weighed[weighed["method"] == "local_search"], weighed.iloc[::-1])
    )
    assert alone and alone == together


def test_the_generator_is_of_what_is_estimated() -> None:
    def drawn(*key: str) -> float:
        return float(bootstrap.resampling_rng(*key).random())

    first = drawn("task", "method", "0a", "regret")
    assert first == drawn("task", "method:samples=3", "0a", "regret") == drawn("task", "method 0a", "0a", "regret")
    others = [("task 2", "method", "0a", "regret"), ("task", "method2", "0a", "regret"),
              ("task", "method", "0b", "regret"), ("task", "method", "0a", "test score")]  # fmt: skip
    assert len({first, *(drawn(*key) for key in others)}) == 5


def test_a_choice_without_a_test_score_is_not_judged(tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    runs = made_runs(tmp_path, (TWO_BY_SEED,), ("random_search", "local_search"), 5)
    lost = (runs["method"] == "local_search") & (runs["seed"] == 3)
    runs.loc[lost, ["test_score", "regret"]] = math.nan
    built = build_report(runs, str(tmp_path))
    for task in (ALL, TWO_BY_SEED):
        row = row_of(built, task, "local_search")
        assert row[["rank", "regret_mean", "regret_iqm", "improvement"]].isna().all() and row["runs"] == 5
        assert row_of(built, task, "random_search")["rank"] == 1


def test_a_method_that_skips_a_task_has_no_number_for_the_family(made_tables: Path, runs: pd.DataFrame) -> None:
    folder = made_tables.parent / "family"
    write_made_table(folder, TWO_BY_SEED, 4)
    write_made_table(folder, "minatar-ss1/freeway@lite", 2)
    both = made_runs(folder, (TWO_BY_SEED, "minatar-ss1/freeway@lite"), ("random_search", "local_search"), 8)
    some = both[(both["method"] != "local_search") | (both["task"] == TWO_BY_SEED)]
    built = build_report(some, str(folder))
    row = row_of(built, ALL, "local_search")
    assert row[["rank", "regret_mean", "regret_iqm", "improvement"]].isna().all()
    assert not math.isnan(row_of(built, TWO_BY_SEED, "local_search")["regret_mean"])
    assert built.ranking.left_out == ("local_search",) and list(built.ranking.ranks) == ["random_search"]
    assert list(built.rows("minatar-ss1@lite")["method"])[1] == "local_search", "last of the searches"


def test_ranks_are_those_of_mean_regret(built: Report, runs: pd.DataFrame) -> None:
    methods = ["random_search", "local_search", "random_search:samples=3"]
    means = np.array([[regrets_of(runs, task, m).mean() for task in (TWO_BY_SEED, SINGLE_SEED)] for m in methods])
    expected = dict(zip(methods, ranks.average_ranks(means, higher_is_better=False), strict=True))
    assert built.ranking.ranks == pytest.approx(expected)
    assert list(built.ranking.ranks.values()) == sorted(expected.values())
    assert built.ranking.friedman == pytest.approx(ranks.friedman(means).pvalue)


def answer_for(built: Report, family: str) -> Answer:
    (found,) = (answer for answer in answers(built) if answer.family == family)
    return found


@pytest.mark.parametrize(
    ("difference_", "p", "interval", "expected"),
    [
        (-1.0, 0.01, (0.6, 0.8), "better"),
        (-1.0, 0.01, (0.4, 0.8), "mixed"),
        (-1.0, 0.06, (0.6, 0.8), "open"),
        (1.0, 0.01, (0.2, 0.4), "worse"),
        (1.0, 0.01, (0.2, 0.6), "mixed"),
        (-1.0, math.nan, (0.6, 0.8), "open"),
        (-1.0, 0.01, (math.nan, math.nan), "mixed"),
    ],
)
def test_one_rule_judges(difference_: float, p: float, interval: tuple[float, float], expected: str) -> None:
    assert verdict(difference_, p, interval) == expected


def test_the_answer_names_a_method_only_where_it_surely_beats_random_search(
    made_tables: Path, runs: pd.DataFrame, many_seeds: tuple[Path, pd.DataFrame]
) -> None:
    poor = build_report(pd.concat([runs, choosing(runs, made_tables, "mine", "k2-k2")]), str(made_tables))
    assert answer_for(poor, "minatar-ss1@lite").level == "none"
    good = build_report(pd.concat([runs, choosing(runs, made_tables, "mine")]), str(made_tables))
    two, one = answer_for(good, "minatar-ss1@lite"), answer_for(good, "atari-ss1@lite")
    for found, task in ((two, TWO_BY_SEED), (one, SINGLE_SEED)):
        assert (found.level, found.method) == ("here", "mine") and any("is unknown" in note for note in found.notes)
        row = row_of(good, task, "mine")
        assert all(show(row[name]) in found.numbers for name in ("improvement", "improvement_low", "improvement_high"))
        assert "4 methods" in found.numbers and "10 whole trainings" in found.numbers
        assert any(SINGLE_SEED in note for note in found.notes) is (task == SINGLE_SEED), "the very agents it saw"
    folder, own = many_seeds
    known = build_report(pd.concat([own, choosing(own, folder, "mine")]), str(folder))
    sure = answer_for(known, "minatar-ss1@lite")
    assert sure.level == "better" and sure.headline == "Use mine: it beats random search."
    assert not math.isnan(sure.tables[0])
    row = row_of(known, ALL, "mine")
    assert row["verdict"] == "better" and row["p"] < 0.05
    assert pd.isna(row_of(known, ALL, "random_search")["verdict"]), "the yardstick is not judged"


def test_a_lucky_single_run_is_no_answer_beside_a_sure_one(made_tables: Path, runs: pd.DataFrame) -> None:
    lucky, mostly, else_ = (choosing(runs, made_tables, *a) for a in (("lucky",), ("sure",), ("sure", "k5-k4")))
    sure = pd.concat([mostly[mostly["seed"] < 15], else_[else_["seed"] >= 15]])
    alone = answer_for(build_report(pd.concat([runs, lucky[lucky["seed"] == 0]]), str(made_tables)), "minatar-ss1@lite")
    assert (alone.level, alone.method) == ("none", "local_search"), "nor the nearest to one"
    both = build_report(pd.concat([runs, sure, lucky[lucky["seed"] == 0]]), str(made_tables))
    rows, answer = both.rows("minatar-ss1@lite").set_index("method"), answer_for(both, "minatar-ss1@lite")
    assert rows.loc["lucky", "regret_mean"] < rows.loc["sure", "regret_mean"]
    assert answer.method == "sure" and answer.level != "none"


@pytest.mark.parametrize("others", [("random_search",), ("random_search", "local_search")])
def test_two_runs_that_agree_are_no_answer(others: tuple[str, ...], made_tables: Path, runs: pd.DataFrame) -> None:
    """By the rule of the findings page: one more run that ends as random search does would undo them."""
    lucky = choosing(runs, made_tables, "lucky")
    for count, level in ((2, "none"), (20, "here")):
        chosen = pd.concat([runs[runs["method"].isin(others)], lucky[lucky["seed"] < count]])
        built = build_report(chosen, str(made_tables))
        answer = answer_for(built, "minatar-ss1@lite")
        row = row_of(built, TWO_BY_SEED, "lucky")
        assert row["improvement_low"] == row["improvement_high"] > 0.8 and row["runs"] == count
        assert (answer.level, answer.method) == (level, "lucky")
        assert f"{count} runs" in answer.numbers


def test_the_leaderboard_and_the_findings_page_test_alike(made_tables: Path, runs: pd.DataFrame) -> None:
    many = pd.concat([runs, choosing(runs, made_tables, "mine", "k5-k4")])
    searches = record(many[many["task"] == TWO_BY_SEED], made_tables).searches
    page = compare_task(load(TWO_BY_SEED, tables=made_tables), 10_000_000, searches)
    assert page is not None
    judged = build_report(many, str(made_tables)).tasks[TWO_BY_SEED]
    rows = [row for row in page.rows if row.verdict != "control"]
    here = compare_methods([judged], [row.method for row in rows])
    for row in rows:
        found, p = here[row.method]
        assert p == pytest.approx(row.adjusted) and found.mean * judged.gap == pytest.approx(row.test.mean)


def test_runs_of_random_search_vary_where_they_are_the_yardstick(made_tables: Path) -> None:
    regrets, chances, chosen = np.array([0.0, 1.0, 2.0]), np.array([0.25, 0.5, 0.25]), np.array([6, 2, 0])
    exact = difference(chosen, Reference(chances), regrets)
    few, many = (difference(chosen, Reference(chances, runs), regrets) for runs in (4, 4000))
    assert few.mean == many.mean == exact.mean
    assert few.error > 1.2 * many.error and many.error == pytest.approx(exact.error, rel=0.01)


def test_random_search_is_never_the_method_that_beats_it(made_tables: Path, runs: pd.DataFrame) -> None:
    best = choosing(runs, made_tables, "random_search:samples=9")
    alone = pd.concat([runs[runs["method"] == "random_search"], best])
    found = answers(build_report(alone, str(made_tables)))
    assert {answer.level for answer in found} == {"unknown"}
    assert found[0].numbers == "Only random search was run."


def test_facts_of_the_tables(made_tables: Path, tmp_path: Path) -> None:
    facts = {fact.task: fact for fact in table_facts(str(made_tables))}
    assert set(facts) == {TWO_BY_SEED, SINGLE_SEED, DEEP}
    two = facts[TWO_BY_SEED]
    scores = load(TWO_BY_SEED, tables=made_tables).table.columns["return_last100"][:, :, -1]
    assert two.halves.agreement == ranks.noise_ceiling(scores) and two.cells == 100 and two.complete_seeds == 4
    assert two.cpu_hours == pytest.approx(100 * 200 / 3600) and two.effort == 100_000_000
    assert agreement(facts[SINGLE_SEED].halves, 25) == "unknown with one train seed"
    assert agreement(two.halves, 25).startswith(show(two.halves.agreement.tau))
    write_made_table(tmp_path, TWO_BY_SEED, 2, ["k1-k1", "k5-k5"])
    (partial,) = table_facts(str(tmp_path))
    assert partial.covered.shape == (2, 25) and partial.cells == 4 and partial.complete_seeds == 0
    assert partial.covered[:, [0, 24]].all() and agreement(partial.halves, 25).endswith("no complete train seed")


def test_the_checklist_is_filled_from_the_provenance(made_tables: Path, built: Report, runs: pd.DataFrame) -> None:
    facts = [fact for fact in table_facts(str(made_tables)) if fact.task in built.tasks]
    items = {item.question: item for item in checklist(built, runs, facts)}
    assert len(items) == 17
    text = " ".join(item.evidence for item in items.values())
    final = final_rows(runs)
    assert f"{show(sum(fact.cpu_hours for fact in facts))} CPU hours" in text
    assert f"{show(final['cpu_seconds'].sum() / 3600)} CPU hours looked up" in text
    assert all(fact.digest in text and fact.recipe in text for fact in facts)
    assert all(configuration in text for configuration in runs["configuration"].unique())
    assert "random_search:samples=3" in items["How hyperparameters were tuned, and at what cost?"].evidence
    assert items["Code of the search methods?"].answer == "yes" and "{" not in text
    mine = pd.concat([runs, choosing(runs, made_tables, "mine").assign(mode="live")])
    other = {item.question: item for item in checklist(build_report(mine, str(made_tables)), mine, facts)}
    assert other["Code of the search methods?"].answer == "partly"
    assert other["Confounding factors controlled?"].answer == "partly"


@pytest.mark.parametrize("value", [0.0, 0.09996, 0.123456, 9.996, 99.96, 123.456, 1234.5, -0.0421, 1e-7, 60212.0])
def test_a_number_is_shown_as_it_is_stored(value: float) -> None:
    assert float(show(round_number(value)).replace(",", "")) == round_number(value) == pytest.approx(value, rel=6e-3)


def test_a_missing_number_is_a_dash() -> None:
    assert show(math.nan) == "–" and math.isnan(round_number(math.nan))
    assert show(round_number(-0.0)) == "0"
