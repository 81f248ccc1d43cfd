"""The findings page on its sources: tables beside the tasks' own, networks with several seeds, surrogates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_tables import (
    DEEP,
    TWO_BY_SEED,
    write_made_accuracies,
    write_made_darts,
    write_made_latencies,
    write_made_supernets,
    write_made_table,
)

from nasbench_rl import store
from nasbench_rl.build.surrogate_quality import GROUPINGS
from nasbench_rl.errors import RecipeMismatchError
from nasbench_rl.findings import page, page_surrogates
from nasbench_rl.findings.answers import answers
from nasbench_rl.findings.searches import Searches, digests, record, snapshot
from nasbench_rl.splits import SPLITS
from nasbench_rl.surrogate import surrogate_name
from nasbench_rl.surrogate_info import SurrogateInfo, SurrogateOptions
from nasbench_rl.task import get_task

IMAGES = "nsc-chain/fashion-mnist@lite"


def write_images(folder: Path, repeated: int) -> None:
    """16 networks, the first of them with three train seeds."""
    kinds = ("conv1", "conv3", "conv5", "maxpool2")
    networks = [f"{first} {second}" for first in kinds for second in kinds]
    write_made_accuracies(folder, IMAGES, networks[:repeated], 3)
    write_made_accuracies(folder, IMAGES, networks[repeated:], 1)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One task with all that lies beside a table, one with supernets alone, and an image task."""
    folder = tmp_path_factory.mktemp("tables")
    write_made_table(folder, TWO_BY_SEED, 4)
    write_made_supernets(folder, TWO_BY_SEED, 3)
    write_made_darts(folder, TWO_BY_SEED, 1)
    write_made_latencies(folder, TWO_BY_SEED)
    write_made_supernets(folder, DEEP, 2)
    write_images(folder, 12)
    return folder


def no_searches(folder: Path) -> Searches:
    return record(pd.DataFrame(columns=["task", "budget", "method"]), folder)


def page_of(folder: Path) -> str:
    return page.markdown(answers(no_searches(folder), folder), "findings")


@pytest.fixture(scope="module")
def text(tables: Path) -> str:
    return page_of(tables)


def test_every_table_is_listed_with_what_it_holds(text: str) -> None:
    listed = dict(re.findall(r"^\| `([a-z]+/[^`]*)` \| [0-9a-f]{12} \| ([^|]*) \|", text, re.MULTILINE))
    assert listed == {
        "rl/minatar-ss1.breakout.lite.parquet": "100 cells (train seeds 0, 1, 2, 3; complete: 4)",
        "nsc/nsc-chain.fashion-mnist.lite.parquet": "40 cells (train seeds 0, 1, 2; complete: 1)",
        "supernet/minatar-ss1.breakout.lite.parquet": "3 supernets",
        "supernet/minatar-ss2.freeway.lite.parquet": "2 supernets",
        "darts/minatar-ss1.breakout.lite.parquet": "1 differentiable search",
        "latency/minatar-ss1.breakout.lite.parquet": "times of 25 networks",
    }


def test_a_page_is_guarded_by_the_tables_that_it_reads(tables: Path) -> None:
    families = {name.split("/")[0] for name in digests(tables)}
    assert families == {"rl", "nsc", "supernet", "darts", "latency"}


def test_one_train_seed_still_lacks_a_second(tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 1)
    text = page_of(tmp_path)
    assert "is not known yet: 1 train seed is complete and it takes two." in text
    assert "every architecture has one train seed to compare" in text and "second complete train seed" in text


@pytest.mark.parametrize(("repeated", "has"), [(1, "1 architecture has"), (9, "9 architectures have")])
def test_the_page_says_how_many_networks_have_several_seeds(tmp_path: Path, repeated: int, has: str) -> None:
    write_images(tmp_path, repeated)
    text = page_of(tmp_path)
    assert f"is not known yet: {has} all 3 train seeds, and it takes 10." in text
    assert f"this is not known yet: {has} several train seeds, and it takes 10." in text
    assert "second complete train seed" not in text and "takes two" not in text


def test_a_ceiling_of_some_networks_says_of_which(text: str) -> None:
    assert "two halves of the 3 train seeds that 12 architectures have agree with τ" in text
    assert "two halves of the 4 train seeds agree with τ" in text


def measured(info: SurrogateInfo, folder: Path) -> None:
    """Put a surrogate's description into a folder of tables, as ``Surrogate.save`` does."""
    name = surrogate_name(get_task(info.task))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(info.to_json())
    store.register(folder, name, info.rows)


def made_info(folder: Path, **changed: Any) -> SurrogateInfo:
    scores = {"r2": 0.9123, "tau": 0.7123, "sparse_tau": 0.7351, "within_1": 0.6789, "within_2": 0.9456}
    ceilings = dict.fromkeys(("r2_ceiling", "tau_ceiling", "sparse_tau_ceiling"))
    quality = [
        {"task": IMAGES, "grouping": "layers", "split": "validation", **scores, "r2": 0.1111, **ceilings},
        {"task": IMAGES, "grouping": "layers", "split": "test", **scores, **ceilings},
        {"task": IMAGES, "grouping": "random", "split": "test", **scores, "r2": 0.9555, **ceilings},
    ]
    name = store.table_name(get_task(IMAGES))
    given = {
        "task": IMAGES, "task_digest": get_task(IMAGES).digest, "features": ("depth",), "options": SurrogateOptions(),
        "spread_factors": {split: (1.0,) for split in SPLITS}, "quality": tuple(quality),
        "table_sha256": store.read_manifest(folder)[name].sha256, "rows": 480, "architectures": 16,
        "models": {"test-0.txt": "0", "validation-0.txt": "0"}, "lightgbm": "4", "code_version": "made",
        "machine": "made",
    }  # fmt: skip
    return SurrogateInfo(**{**given, **changed})


def of_surrogates(tables: Path, folder: Path, **changed: Any) -> str:
    """The page with a made surrogate, up to its sources."""
    snapshot(tables, folder)
    measured(made_info(folder, **changed), folder)
    text = page_of(folder)
    name, digest = surrogate_name(get_task(IMAGES)), digests(folder)[surrogate_name(get_task(IMAGES))]
    assert f"| `{name}` | {digest} | 2 models fitted on 16 networks |" in text
    return text.partition("## Where the numbers come from")[0]


def test_the_page_shows_what_surrogates_say_of_themselves(tables: Path, text: str, tmp_path: Path) -> None:
    assert page_surrogates.TITLE not in text
    text = of_surrogates(tables, tmp_path / "tables")
    assert "reach R² 0.912, τ 0.712, sparse τ 0.735, on `nsc-chain/fashion-mnist@lite`" in text
    row = f"| `{IMAGES}` | 16 | networks of the same layers | 0.912 | 0.712 | 0.735 | 0.679 | 0.946 | – | – | – |"
    assert row in text and "| single networks at random | 0.956 |" in text and "0.111" not in text
    assert "fewer than 10 were" in text and "table has changed" not in text
    assert set(page_surrogates.HELD_OUT) == set(GROUPINGS)


def test_a_surrogate_s_ceiling_is_shown_where_it_is_known(tables: Path, tmp_path: Path) -> None:
    known = dict(zip(("r2_ceiling", "tau_ceiling", "sparse_tau_ceiling"), (0.98, 0.88, 0.87), strict=True))
    quality = tuple({**row, **known} for row in made_info(tables).quality)
    text = of_surrogates(tables, tmp_path / "tables", quality=quality, table_sha256="f" * 64)
    assert "| 0.946 | 0.980 | 0.880 | 0.870 |" in text and "no ceiling" not in text
    assert f"For `{IMAGES}` the table has changed since the surrogate was fitted" in text


def test_what_a_surrogate_does_worse_than_it_might_is_told(tables: Path, tmp_path: Path) -> None:
    poor = {"sparse_tau": 0.7, "sparse_tau_ceiling": 0.9, "within_2": 0.87}
    quality = tuple({**row, **poor} for row in made_info(tables).quality)
    text = of_surrogates(tables, tmp_path / "tables", quality=quality)
    assert (
        f"sparse τ, though the ceiling allows it, with networks of the same layers held out: `{IMAGES}` (0.700" in text
    )
    assert f"are fewer on `{IMAGES}` (0.870), with networks of the same layers held out" in text
    assert "with single networks at random held out:" not in text
    assert "heavier tails" not in of_surrogates(tables, tmp_path / "others")


def test_a_surrogate_that_was_not_measured_says_so(tables: Path, tmp_path: Path) -> None:
    text = of_surrogates(tables, tmp_path / "tables", quality=())
    assert f"The surrogates of `{IMAGES}` were stored without a measurement" in text and "R²" not in text


def test_a_surrogate_of_another_recipe_is_refused(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeMismatchError, match="recipe 000; nsc-chain/fashion-mnist@lite is"):
        of_surrogates(tables, tmp_path / "tables", task_digest="000")
