"""The reporting checklist of Lindauer and Hutter, filled from the provenance of the runs and tables.

"Best Practices for Scientific Research on Neural Architecture Search", JMLR 21(243), 2020; the questions are shortened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from nasbench_rl._utils import provenance
from nasbench_rl._utils.text import show
from nasbench_rl.leaderboard.ranking import ALL, Report, is_random_search
from nasbench_rl.leaderboard.stats.bootstrap import plain_name
from nasbench_rl.leaderboard.summary import EXACT, distinct, final_rows
from nasbench_rl.leaderboard.table_stats import TableFacts

SOURCE = (
    "Lindauer and Hutter, Best Practices for Scientific Research on Neural Architecture Search, JMLR 21(243), 2020; "
    "questions shortened, answers from the provenance of the runs and tables."
)


class Item(NamedTuple):
    """A question, the answer (``yes``, ``no``, ``partly``, ``not recorded``) and its evidence."""

    question: str
    answer: str
    evidence: str


TEMPLATE = (
    Item("Code of the training pipeline released?", "yes", "This package; tables trained by {code_versions}."),
    Item("Code of the search space?", "yes", "This package, nasbench_rl/spaces."),
    Item("Hyperparameters and seeds of the final training?", "yes", "Recipes: {recipes}. Train seeds: {train_seeds}."),
    Item("Code of the search methods?", "{shipped}", "{packages}."),
    Item("Hyperparameters and seeds of the search methods?", "yes",
         "Configurations by digest: {configurations}. Search seeds {first_seed} to {last_seed}."),
    Item("The same benchmark for every method?", "yes",
         "One table, space, recipe and split for all; runs of another table are refused. Tables: {tables}."),
    Item("Confounding factors controlled?", "{controlled}",
         "Modes of the runs: {modes}. Tables trained on: {machines}."),
    Item("Ablation studies?", "no", "Whole methods are compared."),
    Item("The same evaluation protocol?", "yes",
         "Searches see validation scores, reports the test score of what a run chose. Budgets: {budgets}."),
    Item("Performance over time compared?", "yes", "Regret against the budget spent, with intervals."),
    Item("Compared with random search?", "{compared}",
         "Exact expectation on {exact} of {tasks} tasks; as a method: {as_method}."),
    Item("Several runs, seeds reported?", "{several}", "{runs} runs for each method and task."),
    Item("Tabular or surrogate benchmark for in-depth evaluation?", "yes", "Modes of the runs: {modes}."),
    Item("How hyperparameters were tuned, and at what cost?", "partly",
         "Methods of this package have their papers' hyperparameters unless their files say otherwise; tuning and its "
        "cost are not recorded. "
         "With other hyperparameters: {changed}."),
    Item("What differs from the methods' papers?", "partly",
         "Named in each method's file. Approximate: {approximate}. Other packages' methods: {foreign}."),
    Item("Time of the whole search, training included?", "yes",
         "Training the tables: {table_hours} CPU hours ({effort}). Trainings that the searches were charged: "
         "{charged_hours} CPU hours looked up, {live_hours} live; the searches themselves: {search_hours} hours. "
         "Searched on: {searched_on}."),
    Item("All details of the setup?", "partly",
         "Recipes, seeds, budgets, checksums and code ({code}) are on this page; what a method's author did before is "
         "not."),
)  # fmt: skip
"""In the paper's order; fields in braces are filled in."""


def checklist(report: Report, runs: pd.DataFrame, facts: Sequence[TableFacts]) -> list[Item]:
    """Fill in all items.

    Args:
        report: the numbers.
        runs: rows of ``runs_schema.COLUMNS``.
        facts: of the tables that judged.
    """
    values = _of_tables(facts) | _of_methods(runs) | _of_runs(report, runs, facts)
    return [Item(one.question, one.answer.format(**values), one.evidence.format(**values)) for one in TEMPLATE]


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "none"


def _of_tables(facts: Sequence[TableFacts]) -> dict[str, str]:
    return {
        "code_versions": _joined(sorted({text for fact in facts for text in fact.code_versions})),
        "machines": "; ".join(sorted({text for fact in facts for text in fact.machines})) or "not recorded",
        "recipes": _joined(f"{fact.task} {fact.recipe}" for fact in facts),
        "train_seeds": _joined(f"{fact.task} {'/'.join(map(str, fact.train_seeds))}" for fact in facts),
        "tables": _joined(f"{fact.task} {fact.digest}" for fact in facts),
        "table_hours": show(sum(fact.cpu_hours for fact in facts)),
        "effort": _joined(f"{fact.task} {fact.effort:,} {fact.unit}" for fact in facts),
    }


def _of_methods(runs: pd.DataFrame) -> dict[str, str]:
    kinds = runs[["method", "method_version", "configuration", "approximation"]].drop_duplicates()
    shipped = kinds["method_version"].str.startswith("nasbench-rl ")
    digests = {str(name): "/".join(sorted(set(of))) for name, of in kinds.groupby("method")["configuration"]}
    approximate = kinds[kinds["approximation"] != ""].groupby("method")["approximation"]
    return {
        "shipped": "yes" if shipped.all() else "partly",
        "packages": _joined(sorted(set(kinds["method_version"]))),
        "configurations": _joined(f"{name} {digest}" for name, digest in digests.items()),
        "changed": _joined(sorted({name for name in kinds["method"] if ":" in name})),
        "approximate": _joined(f"{plain_name(str(name))} ({distinct(texts)})" for name, texts in approximate),
        "foreign": _joined(sorted({plain_name(name) for name in kinds[~shipped]["method"]})),
    }


def _of_runs(report: Report, runs: pd.DataFrame, facts: Sequence[TableFacts]) -> dict[str, str]:
    final, modes = final_rows(runs), sorted(set(runs["mode"]))
    looked_up, live = (final[(final["mode"] == "live") == is_live] for is_live in (False, True))
    counts = final.groupby(["task", "method"]).size()
    exact = int(((report.frame["method"] == EXACT) & (report.frame["task"] != ALL)).sum())
    own = any(map(is_random_search, runs["method"].unique()))
    one_machine = modes == ["tabular"] and len({machine for fact in facts for machine in fact.machines}) == 1
    return {
        "first_seed": f"{runs['seed'].min()}", "last_seed": f"{runs['seed'].max()}",
        "modes": _joined(modes), "controlled": "yes" if one_machine else "partly",
        "budgets": _joined(
            f"{id_} {judged.budget:,} {judged.task.fidelity_unit.replace('_', ' ')}"
            for id_, judged in report.tasks.items()
        ),
        "compared": "yes" if exact or own else "no", "exact": f"{exact}", "tasks": f"{len(report.tasks)}",
        "as_method": "yes" if own else "no", "several": "yes" if counts.min() > 1 else "no",
        "runs": f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}",
        "charged_hours": show(looked_up["cpu_seconds"].sum() / 3600),
        "live_hours": show(live["cpu_seconds"].sum() / 3600),
        "search_hours": show(looked_up["search_seconds"].sum() / 3600),
        "searched_on": "; ".join(sorted(set(runs["machine"]))), "code": provenance.code_version(),
    }  # fmt: skip
