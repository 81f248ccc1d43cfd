"""The ranking in baselines/README.md, by score and against cost."""

from __future__ import annotations

from pathlib import Path

import baselines_readme

COSTS = """# Leaderboard

## Score against cost

### a/b@lite

| method | weighs | hypervolume, params [95 %] | hypervolume, flops [95 %] | left out |
| --- | --- | --- | --- | --- |
| dqn | – | 0.700 [0.650, 0.750] | 0.900 [0.890, 0.910] | 20 % |
| mnas | flops | 0.700 [0.600, 0.800] | 0.800 [0.790, 0.810] | 10 % |
| rena | params | 0.990 [0.980, 0.999] | 0.990 [0.980, 0.999] | 96 % |
| random_search | – | 0.500 [0.400, 0.600] | 0.600 [0.590, 0.610] | 30 % |
| best architecture alone (k1) | – | 0.999 | 0.999 | – |

### c/d@lite

| method | weighs | hypervolume, params [95 %] | hypervolume, flops [95 %] |
| --- | --- | --- | --- |
| mnas | flops | 0.5 [0.1, 0.9] | 0.5 [0.1, 0.9] |
| rena | params | 0.2 [0.1, 0.3] | 0.9 [0.8, 0.95] |
| random_search | – | 0.7 [0.6, 0.8] | 0.6 [0.5, 0.7] |

## Next
"""


def test_methods_are_judged_by_the_cost_that_they_weigh() -> None:
    lines = baselines_readme.against_cost(COSTS).splitlines()
    assert "`mnas` above on `a/b@lite`; `rena` below on `c/d@lite`. Elsewhere" in lines[0]
    flops = lines.index("Score against flops, which `mnas` weighs:")
    assert lines[flops + 2 : flops + 6] == [
        "| task | `random_search` | `mnas` | highest of all methods |",
        "|---|---|---|---|",
        "| `a/b@lite` | 0.600 [0.590, 0.610], 30 % left out | 0.800 [0.790, 0.810], 10 % left out "
        "| `dqn` 0.900 [0.890, 0.910] |",
        "| `c/d@lite` | 0.6 [0.5, 0.7] | 0.5 [0.1, 0.9] | `rena` 0.9 [0.8, 0.95] |",
    ]
    params = lines.index("Score against params, which `rena` weighs:")
    assert "| `a/b@lite` | 0.500 [0.400, 0.600], 30 % left out | –, 96 % left out |" in lines[params + 4]


def test_a_block_replaces_what_was_between_its_marks_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- b -->\nafter\n")
    for filled in ("new", "newer"):
        baselines_readme.replace_block(page, "<!-- a -->", "<!-- b -->", filled)
        assert page.read_text() == f"before\n<!-- a -->\n{filled}\n<!-- b -->\nafter\n"


def test_the_ranking_names_the_runs_that_it_rests_on() -> None:
    row = dict.fromkeys(("improvement", "improvement_low", "improvement_high", "rank", "approximation"), "")
    row |= {"family": "minatar-ss1@lite", "task": baselines_readme.ALL_TASKS, "regret_mean": "0.3"}
    known = {"improvement": "0.6", "improvement_low": "0.5", "improvement_high": "0.7", "rank": "2.0"}
    rows = [row | known | {"method": "spos", "runs": "5"}, row | {"method": "random search, exact", "runs": ""}]
    lines = baselines_readme.ranking("# Leaderboard\n\n## Answers\n\n- **minatar-ss1@lite**: Use spos.\n", rows).split(
        "\n"
    )
    assert "| `spos` | 2.0 | 0.6 [0.5, 0.7] | 0.3 | 5 |" in lines
    assert "| `random search, exact` | – | – | 0.3 | – |" in lines
