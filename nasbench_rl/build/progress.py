"""How far a build is: a bar on a terminal, a line now and then in a file."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nasbench_rl._utils import cli
from nasbench_rl._utils.text import show
from nasbench_rl.task import get_task
from nasbench_rl.training.cell import Cell

FIRST_LINE_SECONDS = 10.0
"""After which a file gets its first line; so long a build has nothing to say."""
LINE_SECONDS = 60.0


class BuildProgress(Progress):
    """Show cells finished, steps done, steps a second and the time left.

    Args:
        cells: what is trained.
        clock: monotonic seconds.
    """

    def __init__(self, cells: Sequence[Cell], clock: Callable[[], float] = time.monotonic) -> None:
        columns = (
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f}%"), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=True), TextColumn("{task.fields[steps]}"),
        )  # fmt: skip
        super().__init__(
            *columns, console=cli.console, disable=not cli.console.is_terminal, speed_estimate_period=600
        )  # fmt: skip
        self._trained = {cell.task: get_task(cell.task) for cell in cells}
        self._steps = dict.fromkeys(cells, 0)
        units = sorted({task.fidelity_unit.replace("_", " ") for task in self._trained.values()})
        self._unit = units[0] if len(units) == 1 else ""
        self._clock, self._started = clock, clock()
        self._next_line = self._started + FIRST_LINE_SECONDS
        self._row = self.add_task(f"0/{len(cells)} cells", total=len(cells), steps="")

    def show(self, cell: Cell, steps: int, finished: int) -> None:
        """Take in that a cell has trained ``steps`` so far, with ``finished`` cells done."""
        self._steps[cell] = steps
        share = sum(steps / self._trained[cell.task].max_fidelity for cell, steps in self._steps.items())
        said = f"{finished}/{len(self._steps)} cells"
        self.update(self._row, completed=share, steps=self._speed(), description=said)
        now = self._clock()
        if self.disable and now >= self._next_line and share < len(self._steps):
            self._next_line = now + LINE_SECONDS
            cli.say(", ".join(part for part in (said, self._speed(), self._left(share)) if part))

    def _speed(self) -> str:
        """``1,024 of 20,480 env steps, 2,000 env steps/s``; empty where some are epochs and some are not."""
        if not self._unit:
            return ""
        done, passed = sum(self._steps.values()), self._clock() - self._started
        whole = sum(self._trained[cell.task].max_fidelity for cell in self._steps)
        rate = done / passed if passed else 0.0
        return f"{done:,} of {whole:,} {self._unit}, {show(rate, 2)} {self._unit}/s"

    def _left(self, share: float) -> str:
        if not share:
            return "time left not known yet"
        seconds = (self._clock() - self._started) * (len(self._steps) - share) / share
        return f"about {datetime.timedelta(seconds=round(seconds))} left"
