"""``build kernels``: which of oneDNN's kernels run for the layers that are trained; reference kernels are refused."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nasbench_rl._utils import cli
from nasbench_rl.errors import InvalidValueError
from nasbench_rl.spaces.base import Architecture
from nasbench_rl.tables import table_io
from nasbench_rl.tables.locate import add_tables_option, folder_to_fill
from nasbench_rl.task import ImageTask, Task, get_task, task_ids
from nasbench_rl.training.cell import WHOLE_SPACE, Cell
from nasbench_rl.training.onednn_kernels import Layer, Report, layers_of, report
from nasbench_rl.training.workers import check_device

ANYWAY = "--allow-reference"
"""The flag of ``build`` that trains with reference kernels all the same."""
SHALLOW = {True: 2, False: 1}
"""Networks of so many layers stand for an NSC space without a table, by whether it is one of chains."""


def kernels_command(arguments: Sequence[str]) -> int:
    """``build kernels``."""
    parser = cli.Parser(
        "python -m nasbench_rl.build kernels",
        "Which of oneDNN's kernels torch runs on this CPU for the layers that are trained, forward and backward. A "
        "build asks the same before it begins. Exit code 2 when a reference kernel (ref) is among them, which is many "
        "times as slow. Of an NSC space the networks in its table are asked for, and all of two layers (with branches, "
        "of one).",
        [
            "python -m nasbench_rl.build kernels",
            "python -m nasbench_rl.build kernels nsc-chain/emoji@lite atari-ss1/breakout@lite",
        ],
    )
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="task ids (default: every task)")
    add_tables_option(parser)
    options = parser.parse_args(arguments)
    tasks = [get_task(task) for task in dict.fromkeys(options.tasks or task_ids())]
    folder = folder_to_fill(options.tables)
    check_device("cpu")
    layers = {task.id: layers_of(task, _networks(task, folder)) for task in tasks}
    found = _ask(layers)
    _say(layers, found)
    _refuse(layers, found, "python -m nasbench_rl.build trains with them only when asked to: " + ANYWAY)
    return 0


def check_cells(cells: Iterable[Cell]) -> None:
    """Refuse to train these cells by reference kernels.

    Raises:
        InvalidValueError: one would run; names the layers.
    """
    archs: dict[str, dict[Architecture, None]] = defaultdict(dict)
    for cell in cells:
        space = get_task(cell.task).space
        chosen = list(space) if cell.arch in WHOLE_SPACE else [space.parse(cell.arch)]
        archs[cell.task].update(dict.fromkeys(chosen))
    layers = {task: layers_of(get_task(task), chosen) for task, chosen in archs.items()}
    _refuse(layers, _ask(layers), f"to train with them all the same: {ANYWAY}")


def _networks(task: Task, folder: Path) -> list[Architecture]:
    if not isinstance(task, ImageTask):
        return list(task.space)
    trained = table_io.read_table(folder, task)["arch"].unique().to_pylist()
    shallow = task.space.up_to_depth(SHALLOW[task.space.definition.chain])
    return [*map(task.space.parse, trained), *filter(task.is_valid, shallow)]


def _ask(layers: Mapping[str, Sequence[Layer]]) -> Report:
    return report(tuple(dict.fromkeys(layer for some in layers.values() for layer in some)))


def _say(layers: Mapping[str, Sequence[Layer]], found: Report) -> None:
    """For each task a line a kernel and direction, with the number of layers."""
    cli.say(found.torch)
    for task, some in layers.items():
        counts: Counter[str] = Counter()
        for layer in some:
            ran = [kernel for kernel in found.kernels[layer] if kernel.primitive != "reorder" or kernel.reference]
            counts.update(f"{kernel.direction} by {kernel.implementation}" for kernel in ran)
            if not ran:
                counts["none of oneDNN's, but torch's own"] += 1
        cli.say(f"{task}, {len(some)} layers:")
        for what, count in sorted(counts.items()):
            cli.say(f"  {count:4d} {what}")


def _refuse(layers: Mapping[str, Sequence[Layer]], found: Report, way_on: str) -> None:
    for task, some in layers.items():
        slow = [layer for layer in some if layer in found.slow]
        if slow:
            kernels = ", ".join(sorted({f"{k.direction} by {k.implementation}" for k in found.slow[slow[0]]}))
            more = f", and {len(slow) - 1} more of its layers" if len(slow) > 1 else ""
            raise InvalidValueError(
                f"{task}: {slow[0]} runs {kernels}{more}: oneDNN has only its reference kernel for that here, which is "
                f"many times as slow ({found.torch}). Install the torch that constraints.txt names; {way_on}"
            )
