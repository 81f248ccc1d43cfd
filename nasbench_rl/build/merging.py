"""``build merge DIR``: take in shards trained elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from nasbench_rl._utils import cli
from nasbench_rl.benchmark.coverage import split_rules
from nasbench_rl.build.train import say_new_rules
from nasbench_rl.tables.locate import add_tables_option, check_kept, folder_to_fill
from nasbench_rl.tables.merge import merge
from nasbench_rl.task import get_task, task_ids


def merge_command(arguments: Sequence[str]) -> int:
    """``build merge DIR``."""
    parser = cli.Parser(
        "python -m nasbench_rl.build merge",
        "Take every shard and table found in DIR, or below it, into the tables. All of it is checked first (schema, "
        "checksums, recipe, no fidelity missing, no cell with other scores than one that is there already): either all "
        "goes in or nothing does; what a kill parted, the next build or merge finishes. DIR is left as it is, "
        "and a build that goes on there waits a moment with what it has finished.",
        [
            "python -m nasbench_rl.build merge trained-elsewhere/",
            "python -m nasbench_rl.build merge trained-elsewhere/ --tables /tmp/mine",
        ],
    )
    parser.add_argument("source", type=cli.path, metavar="DIR", help="folder of shards or tables trained elsewhere")
    add_tables_option(parser, "folder of tables to merge into")
    options = parser.parse_args(arguments)
    folder = folder_to_fill(options.tables)
    check_kept(folder)
    before = split_rules(folder, map(get_task, task_ids()))
    merged, aside = merge(options.source, folder)
    for path in aside:
        cli.say(f"{path} holds no trainings, left aside")
    for one in merged:
        cli.say(f"{one.task}: {one.added} cells taken in, {one.duplicates} identical duplicates skipped")
    say_new_rules(before, split_rules(folder, map(get_task, before)))
    return 0
