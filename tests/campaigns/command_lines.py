"""Give the commands arguments and environments that nobody means, and signals while they run; count what they do.

    python tests/campaigns/command_lines.py                         # everything, about fifteen minutes
    python tests/campaigns/command_lines.py --only lines            # or environments, or signals

A command ends well with exit code 0, or with exit code 2 and one line that says what is wrong, and with nothing made
where its results would have gone. A signal ends it within seconds with its own exit code. Anything else is a fault:
a traceback, a hang, more than one line, a folder made for arguments that are refused, a process left behind. Exit
code 1 if there is a fault.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import _campaign  # first: puts tests on the path
from support.runs import made_runs, write_runs
from support.tables import SINGLE_SEED, TWO_BY_SEED, write_made_table

from nasbench_rl.build.command import main as build
from nasbench_rl.compare import command as compare
from nasbench_rl.data import command as data_command
from nasbench_rl.findings.__main__ import main as findings
from nasbench_rl.leaderboard.command import main as leaderboard

PATIENCE = 90
"""Seconds until a command hangs."""
VALUES = (
    "", " ", "x", "-1", "0", "1.5", "nan", "1e999", "9" * 25, "9" * 5000, "\N{SNOWMAN}", "a\nb", "../..",
    "/proc/none/x", "~nobody-has-this/x", "/dev/null", "x" * 5000, "=", "%s", "a,b",
)  # fmt: skip
Main = Callable[[Sequence[str]], int]


def lines(made: Path) -> Iterator[tuple[Main, list[str]]]:
    """Yield commands with one strange value each, and some with several options that do not go together."""
    tables = ["--tables", str(made / "tables")]
    small = ["--tasks", TWO_BY_SEED, "--methods", "random_search", "--runs", "1", "--budget", "1x", "--no-page"]
    commands: list[tuple[Main, list[str], list[str]]] = [
        (compare.main, small + tables,
         ["--tasks", "--methods", "--runs", "--budget", "--mode", "--seed", "--tables", "--jobs", "--resource",
          "--preset", "--experiment", "--device", "--out"]),
        (leaderboard, [str(made), *tables], ["--add", "--out", "--tables", "--resource"]),
        (findings, ["--methods", "no_such_method", *tables], ["--budgets", "--seeds", "--jobs", "--runs", "--tables"]),
        (build, ["minatar-ss1/breakout@smoke", "--dry-run", *tables],
         ["--seeds", "--jobs", "--archs", "--depth", "--drawn", "--every", "--repeats", "--device"]),
        (build, ["status"], ["--tables"]),
        (build, ["surrogate", "nsc-chain/digits@smoke", *tables], ["--folds", "--seed", "--tables"]),
    ]  # fmt: skip
    for main, arguments, options in commands:
        for option in options:
            for value in VALUES:
                yield main, [*arguments, f"{option}={value}"]
    for value in VALUES:
        yield build, ["merge", value, *tables]
        yield build, [value, "--dry-run", *tables]
        yield leaderboard, [value, *tables]
        yield data_command.main, ["prepare", value]
        yield compare.main, [*small, *tables, value]
    yield from (
        (compare.main, [*small, *tables, *more])
        for more in (["--dry-run"], ["--experiment", "1"], ["--preset", "no-such"], ["--methods"], ["--no-such"],
                     ["--methods", "random_search:samples=x"], ["--methods", "random_search:x=1"],
                     ["--methods", "random_search:samples"], ["--methods", "random_search:samples=" + "[" * 50_000])
    )  # fmt: skip


def verdict_of_line(main: Main, arguments: Sequence[str], out: Path) -> str:
    """Return what a command made of its arguments."""
    given = list(arguments)
    if main in (compare.main, leaderboard, findings) and not any(one.startswith("--out") for one in given):
        given += ["--out", str(out / ("page.md" if main is findings else ""))]
    code, said = _campaign.run_command(main, given, PATIENCE)
    if isinstance(code, str):
        return code
    if code == 0:
        return "done"
    if code == 2 and out.exists():
        return "refused with a folder made"
    return "refused" if code == 2 and said.strip().count("\n") == 0 else f"badly refused ({code}): {said[:300]}"


def environments(scratch: Path) -> Iterator[tuple[str, dict[str, str | None], str]]:
    """Yield a name, variables (None removes one), and what a shell puts before or behind the command."""
    for encoding in ("cp932", "latin-1", "cp437", "euc-kr", "ascii", "utf-16", "cp1252"):
        yield encoding, {"PYTHONIOENCODING": encoding}, "{}"
    for name, values in {
        "LC_ALL": ("C", "POSIX", "xx_XX.nothing"), "COLUMNS": ("0", "1", "20", "-5", "x", "99999"), "NO_COLOR": ("1",),
        "TERM": ("dumb", "no-such"), "FORCE_COLOR": ("1",), "HOME": (None, "", "/proc/none"), "PYTHONUTF8": ("0", "1"),
        "NASBENCH_RL_TABLES": ("", "/proc/none", "/dev/null", "~/x", "~nobody-has-this/x"), "TZ": ("Nowhere/Never",),
        "TMPDIR": ("/proc/none",), "SLURM_CPUS_PER_TASK": ("x", "0", "-3", "1"), "OMP_NUM_THREADS": ("0", "x"),
        "PYTHONOPTIMIZE": ("2",), "PYTHONDEVMODE": ("1",), "PYTHONHASHSEED": ("0",), "XDG_DATA_HOME": ("relative", ""),
        "MPLBACKEND": ("agg",), "PYTHONWARNINGS": ("default",),
    }.items():  # fmt: skip
        for value in values:
            yield f"{name}={value}", {name: value}, "{}"
    for closing in (">&-", "2>&-", "<&-", ">&- 2>&-", ">&- 2>&- <&-", ">/dev/full"):
        yield closing, {}, "{} " + closing
    yield (
        "working directory deleted",
        {},
        f"mkdir -p {scratch}/gone && cd {scratch}/gone && rmdir {scratch}/gone && {{}}",
    )
    yield "ulimit -n 40", {}, "ulimit -n 40; {}"
    yield "ulimit -v 300000", {}, "ulimit -v 300000; {}"
    yield "ulimit -f 1", {}, "ulimit -f 1; {}"


def verdict_of_environment(variables: dict[str, str | None], shell: str, command: str) -> str:
    """Return what a command made of an environment."""
    environment = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
    process = subprocess.Popen(
        ["bash", "-c", shell.format(command)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        _, error = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "hangs"
    if b"Traceback" in error:
        return f"traceback: {error.decode(errors='replace').strip().splitlines()[-1]}"
    # OpenBLAS sends itself SIGINT where it cannot start its threads, and says why.
    ended = {0: "done", 2: "refused", 130: "refused" if b"OpenBLAS" in error else None}.get(process.returncode)
    return ended or f"badly ended ({process.returncode}): {error.decode(errors='replace')[-300:]}"


def verdict_of_signal(command: list[str], number: int, after: float) -> str:
    """Return how a command ends that gets a signal after some seconds."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    time.sleep(after)
    os.kill(process.pid, number)
    began = time.monotonic()
    try:
        _, error = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "hangs"
    took = time.monotonic() - began
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 0)
        time.sleep(2)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            return "process left behind"
    if b"Traceback" in error:
        return f"traceback: {error.decode(errors='replace').strip().splitlines()[-1]}"
    if process.returncode not in (128 + number, -number, 0):
        return f"badly ended ({process.returncode}): {error.decode(errors='replace')[-300:]}"
    return "slow" if took > 5 else "ended"


def main() -> int:
    """Run the campaign and print its counts."""
    parser = _campaign.parser(__doc__)
    parser.add_argument("--only", choices=("lines", "environments", "signals"), help="one of the three parts")
    only = parser.parse_args().only
    counts, faults = Counter[str](), []

    def count(what: str, found: str) -> None:
        counts[found.partition(":")[0].partition(" (")[0]] += 1
        if found not in ("done", "refused", "ended"):
            faults.append(f"{what}: {found}")

    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        for task, seeds in ((TWO_BY_SEED, 4), (SINGLE_SEED, 1)):
            write_made_table(made / "tables", task, seeds)
        write_runs(made_runs(made / "tables", (TWO_BY_SEED,), ("random_search",), 10), made)
        where = os.getcwd()
        python, tables = f"'{sys.executable}' -m nasbench_rl", f"--tables '{made}/tables'"
        small = f"--tasks {TWO_BY_SEED} --methods random_search --runs 2 --jobs 1 --no-page"
        if only in (None, "lines"):
            for number, (command, arguments) in enumerate(lines(made)):
                (made / f"at{number}").mkdir()
                os.chdir(made / f"at{number}")  # relative paths lead here
                shown = " ".join(argument[:30] for argument in arguments)
                count(f"{command.__module__} {shown!r}", verdict_of_line(command, arguments, made / f"out{number}"))
            os.chdir(where)
        if only in (None, "environments"):
            for what, variables, shell in environments(made):
                for command in (f"build status {tables}", f"compare {small} {tables} --out '{made}/results'"):
                    module, _, rest = command.partition(" ")
                    count(
                        f"{what}: {command[:14]}", verdict_of_environment(variables, shell, f"{python}.{module} {rest}")
                    )
        if only in (None, "signals"):
            at = ["--tables", str(made / "tables")]
            long = [
                ["compare", "--tasks", TWO_BY_SEED, "--methods", "q_learning", "--runs", "3000", "--jobs", "2", *at],
                ["findings", "--methods", "q_learning", "--seeds", "3000", "--jobs", "2", *at],
                ["build", "minatar-ss1/breakout@smoke", "--jobs", "2", "--tables", str(made / "built")],
                ["leaderboard", str(made), *at],
            ]  # fmt: skip
            for command_line in long:
                out = [] if command_line[0] == "build" else ["--out", str(made / "signalled" / "page.md")]
                whole = [sys.executable, "-m", f"nasbench_rl.{command_line[0]}", *command_line[1:], *out]
                for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    for after in (0.5, 1.5, 3.0, 6.0):
                        what = f"{command_line[0]} {signal.Signals(signal_number).name} after {after} s"
                        count(what, verdict_of_signal(whole, signal_number, after))
    return _campaign.summed_up(counts, faults, "cases")


if __name__ == "__main__":
    sys.exit(main())
