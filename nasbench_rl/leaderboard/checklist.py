"""The reporting checklist of Lindauer and Hutter, filled from where the numbers come from.

"Best Practices for Scientific Research on Neural Architecture Search", JMLR 21(243), 2020; the questions are shortened.
An answer is given only where the data show it: what is not recorded is said to be not recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from nasbench_rl import provenance
from nasbench_rl.leaderboard.columns import show
from nasbench_rl.leaderboard.facts import TableFacts
from nasbench_rl.leaderboard.judged import RANDOM_SEARCH
from nasbench_rl.leaderboard.report import Report
from nasbench_rl.method import method_names, said_in_head
from nasbench_rl.summary import EXACT, final_rows


@dataclass(frozen=True)
class Item:
    """A question, the answer (``yes``, ``no``, ``partly``, ``not recorded``) and what it rests on."""

    question: str
    answer: str
    evidence: str


@dataclass(frozen=True)
class _Known:
    report: Report
    runs: pd.DataFrame
    facts: tuple[TableFacts, ...]
    """Of the tables that judged."""

    @property
    def final(self) -> pd.DataFrame:
        return final_rows(self.runs)

    def joined(self, name: str) -> str:
        """Distinct values of an attribute over the tables."""
        return "; ".join(sorted({text for fact in self.facts for text in getattr(fact, name)})) or "not recorded"


def checklist(report: Report, runs: pd.DataFrame, facts: Sequence[TableFacts]) -> list[Item]:
    """All items, in the paper's order."""
    known = _Known(report, runs, tuple(fact for fact in facts if fact.task in report.tasks))
    return [*_code(known), *_comparison(known), *_details(known)]


def _code(known: _Known) -> list[Item]:
    recipes = ", ".join(f"{fact.task} {fact.recipe}" for fact in known.facts)
    train_seeds = ", ".join(f"{fact.task} {'/'.join(map(str, fact.train_seeds))}" for fact in known.facts)
    packages = sorted(set(known.runs["method_version"]))
    shipped = all(package.startswith("nasbench-rl ") for package in packages)
    elsewhere = "" if shipped else " Those of other packages are theirs to release."
    used = known.runs[["method", "configuration"]].drop_duplicates().groupby("method")["configuration"]
    digests = {str(name): "/".join(sorted(rows)) for name, rows in used}
    configurations = ", ".join(f"{name} {digest}" for name, digest in digests.items())
    seeds = known.runs["seed"]
    trained = f"This package; the tables were trained by {known.joined('code_versions')}."
    final = f"Recipes by digest: {recipes}. Train seeds: {train_seeds}."
    search = f"Configurations by digest: {configurations}. Search seeds {seeds.min()} to {seeds.max()}."
    return [
        Item("Code of the training pipeline released?", "yes", trained),
        Item("Code of the search space?", "yes", "This package, nasbench_rl/spaces."),
        Item("Hyperparameters and seeds of the final training?", "yes", final),
        Item("Code of the search methods?", "yes" if shipped else "partly", ", ".join(packages) + "." + elsewhere),
        Item("Hyperparameters and seeds of the search methods?", "yes", search),
    ]


def _comparison(known: _Known) -> list[Item]:
    tables = ", ".join(f"{fact.task} {fact.digest}" for fact in known.facts)
    budgets = ", ".join(
        f"{id_} {judged.budget:,} {judged.task.fidelity_unit.replace('_', ' ')}"
        for id_, judged in known.report.tasks.items()
    )
    kinds = set(known.runs["mode"])
    tabular = kinds == {"tabular"}
    one_machine = tabular and len({text for fact in known.facts for text in fact.machines}) == 1
    read = "Every method reads the same trainings, so no hardware or library version favours one."
    if "live" in kinds:
        read = "Some runs trained live."
    elif not tabular:
        read += " Where none was trained, it is guessed by the same surrogate."
    machines = f"{read} Tables trained on: {known.joined('machines')}."
    exact = sum(_has_exact(known.report, task) for task in known.report.tasks)
    own = bool((known.runs["method"] == RANDOM_SEARCH).any())
    random = f"Exact expectation on {exact} of {len(known.report.tasks)} tasks" + (", and as a method." if own else ".")
    runs = known.final.groupby(["task", "method"]).size()
    counts = f"{runs.min()}" if runs.min() == runs.max() else f"{runs.min()} to {runs.max()}"
    same = f"One table, space, recipe and split for all; runs of another table are refused. Tables: {tables}."
    protocol = f"Searches see validation scores only, reports the test score of what a run chose. Budgets: {budgets}."
    modes = ", ".join(sorted(kinds))
    return [
        Item("The same benchmark for every method?", "yes", same),
        Item("Confounding factors controlled?", "yes" if one_machine else "partly", machines),
        Item("Ablation studies?", "no", "This page compares whole methods."),
        Item("The same evaluation protocol?", "yes", protocol),
        Item("Performance over time compared?", "yes", "Regret against the budget spent, with intervals."),
        Item("Compared with random search?", "yes" if exact or own else "no", random),
        Item("Several runs, seeds reported?", "yes" if runs.min() > 1 else "no", f"{counts} a method and task."),
        Item("Tabular or surrogate benchmark for in-depth evaluation?", "yes", f"Modes of the runs: {modes}."),
    ]


def _details(known: _Known) -> list[Item]:
    effort = ", ".join(f"{fact.task} {fact.effort:,} {fact.unit}" for fact in known.facts)
    final = known.final
    trained = show(sum(fact.cpu_hours for fact in known.facts))
    looked_up, live = final[final["mode"] != "live"], final[final["mode"] == "live"]
    spent = f"Training these tables took {trained} CPU hours ({effort})."
    if len(looked_up):
        spent += (
            f" Without them the {len(looked_up):,} searches here would have taken "
            f"{show(looked_up['cpu_seconds'].sum() / 3600)} CPU hours of training; they themselves took "
            f"{_duration(looked_up['search_seconds'].sum())}."
        )
    if len(live):
        spent += f" {len(live):,} live searches were charged {show(live['cpu_seconds'].sum() / 3600)} CPU hours."
    spent += f" Searched on: {'; '.join(sorted(set(known.runs['machine'])))}."
    setup = (
        f"Recipes, seeds, budgets, checksums and code ({provenance.code_version()}) are on this page; what a method's "
        "author did before is not."
    )
    return [
        Item("How hyperparameters were tuned, and at what cost?", *_tuning(known)),
        Item("What differs from the methods' papers?", *_changes(known)),
        Item("Time of the whole search, training included?", "yes", spent),
        Item("All details of the setup?", "partly", setup),
    ]


def _heads(known: _Known, word: str) -> tuple[str, list[str], list[str]]:
    """What the heads of the methods' files say was done, the methods of which they say nothing, those not installed."""
    installed = set(method_names())
    names = sorted({_base(label) for label in known.runs["method"].unique()})
    said = {name: said_in_head(name, word) for name in names if name in installed}
    listed = " ".join(f"{name}: {text}" for name, text in said.items() if text)
    silent = [name for name, text in said.items() if not text]
    return listed, silent, [name for name in names if name not in said]


def _base(label: str) -> str:
    """A method's name without its hyperparameters and version."""
    return label.split(":")[0].split(" ")[0]


def _tuning(known: _Known) -> tuple[str, str]:
    """What the methods' authors say was tuned; the cost of it is nobody's record."""
    listed, silent, unknown = _heads(known, "Tuned")
    shipped = _shipped(known, silent)
    unsaid = sorted({*unknown, *silent} - {*shipped})
    given = sorted({name for name in known.runs["method"] if ":" in name})
    parts = [listed, f"Not tuned by this package: {', '.join(shipped)}." if shipped else ""]
    parts += [f"Not recorded: {', '.join(unsaid)}." if unsaid else ""]
    parts += [f"With hyperparameters other than their own: {', '.join(given)}." if given else ""]
    parts += ["The cost of tuning was not recorded." if listed else ""]
    return "partly" if listed or unsaid else "yes", " ".join(filter(None, parts))


def _shipped(known: _Known, names: Sequence[str]) -> list[str]:
    """Those of this package, whose heads say everything there is to say."""
    labels = known.runs[["method", "method_version"]].drop_duplicates("method")
    versions = {_base(label): version for label, version in labels.itertuples(index=False)}
    return [name for name in names if versions[name].startswith("nasbench-rl ")]


def _changes(known: _Known) -> tuple[str, str]:
    """What the heads of the methods' files say was changed, and what a table stands in for."""
    listed, silent, unknown = _heads(known, "Changed")
    same = _shipped(known, silent)
    unknown = sorted({*unknown, *silent} - {*same})
    stood_in = known.runs[["method", "approximation"]].drop_duplicates()
    approximate = {_base(method): text for method, text in stood_in.itertuples(index=False) if text}
    parts = [f"As the heads of their files say. {listed}" if listed else ""]
    parts += [f"Nothing: {', '.join(same)}." if same else ""]
    parts += [f"Approximate: {name} ({text})." for name, text in sorted(approximate.items())]
    parts += [f"Not recorded: {', '.join(unknown)}." if unknown else ""]
    return "partly" if unknown else "yes", " ".join(filter(None, parts))


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{show(seconds)} seconds"
    return f"{show(seconds / 60)} minutes" if seconds < 6000 else f"{show(seconds / 3600)} hours"


def _has_exact(report: Report, task: str) -> bool:
    return bool(((report.frame["task"] == task) & (report.frame["method"] == EXACT)).any())
