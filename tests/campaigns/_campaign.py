"""What the campaigns share; its import puts ``tests`` on the path, for ``support``."""

from __future__ import annotations

import argparse
import contextlib
import io
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is the head of the campaign's file."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """Return the same bytes but for one bit."""
    damaged = bytearray(content)
    damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def run_command(main: Callable[[Sequence[str]], int], arguments: Sequence[str], seconds: int) -> tuple[int | str, str]:
    """Run a command in this process; returns its exit code, or what it did instead of ending, and its stderr."""
    from nasbench_rl._utils import cli

    error = io.StringIO()

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
            return cli.run(main, list(arguments)), error.getvalue()
    except TimeoutError:
        return "hangs", ""
    except BaseException as foreign:
        return f"foreign exception: {type(foreign).__name__}: {foreign}"[:300], ""
    finally:
        signal.alarm(0)


def summed_up(counts: Counter[str], faults: Sequence[str], cases: str) -> bool:
    """Print how often what was found, and the faults; returns whether there are any."""
    print(f"{counts.total()} {cases}: " + ", ".join(f"{number} {found}" for found, number in counts.most_common()))
    print(f"{len(faults)} faults", *faults, sep="\n  ")
    return bool(faults)
