"""``python -m nasbench_rl.data``: fetch and prepare the image data sets of the NSC tasks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from nasbench_rl._utils import cli
from nasbench_rl.data.images import SPLITS, data_dir, dataset_path
from nasbench_rl.data.load import load_dataset
from nasbench_rl.data.package_sources import check_files
from nasbench_rl.data.prepare import prepare
from nasbench_rl.errors import DatasetError
from nasbench_rl.task.images import DATASETS, STAND_INS, get_dataset_info

DESCRIPTION = """Fetch image data sets with their registries' own clients, check them, and prepare them in your cache.

prepare NAME...   fetch and prepare; `all` means every data set that is fetched for you
list              what exists, and where each comes from
status            what is prepared, and its digest

The cache is $NASBENCH_RL_DATA, or `data` in your cache folder. Images stay there; tables hold accuracies alone."""

EXAMPLES = (
    "python -m nasbench_rl.data list",
    "python -m nasbench_rl.data prepare fashion-mnist font-letters",
    "python -m nasbench_rl.data prepare emoji --package-file google.tgz --package-file twitter.tgz",
    "python -m nasbench_rl.data prepare omniglot --folder ~/images/omniglot",
    "python -m nasbench_rl.data status",
)


def main(arguments: Sequence[str]) -> int:
    """Parse and run one command; returns the exit code."""
    parser = cli.Parser("python -m nasbench_rl.data", DESCRIPTION, EXAMPLES)
    parser.add_argument("command", choices=("prepare", "list", "status"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="data sets to prepare, or `all`")
    parser.add_argument(
        "--package-file", action="append", default=[], type=cli.path, metavar="PATH", help="a package you already have"
    )
    parser.add_argument("--folder", type=cli.path, metavar="PATH", help="the folder of one of the paper's data sets")
    options = parser.parse_args(arguments)
    if options.command != "prepare":
        if options.names or options.package_file or options.folder:
            parser.error(f"{options.command} takes no further arguments")
        cli.console.print(_listing() if options.command == "list" else _status())
        return 0
    if not options.names:
        parser.error(f"prepare needs a name; allowed: all, {', '.join(DATASETS)}")
    names = [name for given in options.names for name in (STAND_INS if given == "all" else (given,))]
    for name in names:
        get_dataset_info(name)  # a misspelt last name should not cost the first one's download
    packaged = [name for name in names if get_dataset_info(name).source == "packages"]
    if packaged:
        check_files(options.package_file, packaged)
    for name in names:  # files that are of use to none of the names are refused with the first
        files = options.package_file if name in packaged or not packaged else ()
        _prepare(name, files, options.folder)
    return 0


def _prepare(name: str, files: Sequence[Path], folder: Path | None) -> None:
    started = time.perf_counter()
    path = prepare(name, files, folder)
    data = load_dataset(name)
    counts = ", ".join(f"{len(data.labels[split]):,} {split}" for split in SPLITS)
    cli.say(
        f"{name}: {counts} images of {'x'.join(map(str, data.shape))} in {len(data.classes)} classes, "
        f"{path.stat().st_size / 1e6:.1f} MB at {path}, {time.perf_counter() - started:.0f} s"
    )


def _listing() -> cli.Table:
    table = cli.Table("name", "images", "classes", "size", "what")
    for info in DATASETS.values():
        own = "; from a folder of yours (--folder)" if info.source == "folder" else ""
        size = "x".join(map(str, info.image))
        table.add_row(info.name, f"{info.images:,}", str(info.classes), size, info.about + own)
    return table


def _status() -> cli.Table:
    table = cli.Table("name", *SPLITS, "digest", "MB", "state", title=f"cache: {data_dir()}")
    for name in DATASETS:
        path = dataset_path(name)
        if not path.is_file():
            table.add_row(name, "", "", "", "", "", "not prepared")
            continue
        try:
            data = load_dataset(name)
        except DatasetError as error:
            table.add_row(name, "", "", "", "", "", str(error))
            continue
        counts = [f"{len(data.labels[split]):,}" for split in SPLITS]
        table.add_row(name, *counts, data.digest, f"{path.stat().st_size / 1e6:.1f}", "ready")
    return table
