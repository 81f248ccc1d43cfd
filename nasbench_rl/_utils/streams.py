"""Standard streams that cannot end a command: of any encoding, and closed ones."""

from __future__ import annotations

import os
import sys

HARMLESS = ("replace", "backslashreplace", "xmlcharrefreplace", "namereplace", "ignore")
"""Error handlers under which every text can be written."""


def prepare() -> None:
    """Write ``?`` for what a stream's encoding lacks, and to nowhere what goes to a stream that is closed.

    A closed stream (``>&-``) would leave its number to the next file that is opened: to a table, say, into which a
    library's messages then went. Opened in this order, each gets its own number back.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
        elif mode == "w" and getattr(stream, "errors", None) not in HARMLESS and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
