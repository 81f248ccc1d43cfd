"""The ranking in baselines/README.md, by score and against cost."""

from __future__ import annotations

import math
from pathlib import Path

import baselines_readme
import pandas as pd


def front(task: str, method: str, resource: str, value: float, half: float, left_out: float = 0.1) -> dict[str, object]:
    weighs = {"mnas": "flops", "rena": "params"}.get(method, "")
    return {
        "task": task, "mode": "tabular", "method": method, "objective": weighs, "resource": resource,
        "hypervolume": value, "low": value - half, "high": value + half, "left_out": left_out,
    }  # fmt: skip


def test_methods_are_judged_by_the_cost_that_they_weigh() -> None:
    fronts = pd.DataFrame(
        [
            front("a/b@lite", "dqn", "flops", 0.9, 0.01),
            front("a/b@lite", "mnas", "flops", 0.8, 0.01),
            front("a/b@lite", "random_search", "flops", 0.6, 0.01),
            front("a/b@lite", "rena", "params", 0.99, 0.01, left_out=0.96),
            front("a/b@lite", "random_search", "params", 0.5, 0.1),
            front("c/d@lite", "rena", "params", 0.2, 0.1),
            front("c/d@lite", "random_search", "params", 0.7, 0.1),
        ]
    )
    text = baselines_readme.against_cost(fronts)
    assert "`mnas` above on `a/b@lite`" in text and "`rena` below on `c/d@lite`" in text
    assert "`rena` above" not in text, "nearly all of its networks were left out"
    (flops,) = (line for line in text.splitlines() if "`a/b@lite`" in line and "0.9" in line and "`dqn`" in line)
    assert "0.600 [0.590, 0.610]" in flops and "0.800 [0.790, 0.810]" in flops


def test_a_block_replaces_what_was_between_its_marks_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- b -->\nafter\n")
    for filled in ("new", "newer"):
        baselines_readme.replace_block(page, "<!-- a -->", "<!-- b -->", filled)
        assert page.read_text() == f"before\n<!-- a -->\n{filled}\n<!-- b -->\nafter\n"


def test_the_ranking_shows_the_best_what_beats_random_search_and_random_search() -> None:
    same = {
        "family": "minatar-ss1@lite", "task": "all tasks", "mode": "tabular", "approximation": math.nan, "p": 0.5,
        "improvement": 0.6, "improvement_low": 0.5, "improvement_high": 0.7, "regret_mean": 0.3, "runs": 5,
        "verdict": "open",
    }  # fmt: skip
    rows = [{"method": "spos"}, {"method": "dqn", "verdict": "better"}, {"method": "enas"}, {"method": "random_search"}]
    lines = baselines_readme.ranking(pd.DataFrame([same | row for row in rows])).splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == ["spos", "dqn", "random_search"]
    assert "0.600 [0.500, 0.700]" in lines[2] and "better" in lines[3]
