"""A program in a terminal of its own, as somebody who reads a page would run it.

Its process is forked from one that has imported Peerkit: most of what it costs to start is imports.
"""

import os
import re
import runpy
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

TIMEOUT_S = 100.0  # of an end; the machine may be busy

_forking = get_context("forkserver")
_forking.set_forkserver_preload([__name__, "tests.node_imports"])


def commands(page: Path) -> list[list[str]]:
    """The `python …` lines of a page's shell blocks, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line.startswith("python ")]


class Terminal:
    """`python words` in `folder`.

    Attributes:
        shown: the lines that the program has printed so far.
    """

    def __init__(self, folder: Path, words: list[str]) -> None:
        self.shown: list[str] = []
        theirs_in, ours_out = _forking.Pipe(duplex=False)
        ours_in, theirs_out = _forking.Pipe(duplex=False)
        with theirs_in, ours_out, ours_in, theirs_out:
            self._process = _forking.Process(target=_run, args=(folder, words, theirs_in, theirs_out), daemon=True)
            self._process.start()
            self._screen: TextIO = os.fdopen(os.dup(ours_in.fileno()), encoding="utf-8")
            self._keys: TextIO = os.fdopen(os.dup(ours_out.fileno()), "w", encoding="utf-8")

    def until(self, pattern: str) -> re.Match[str]:
        """Read on until a line holds `pattern`."""
        for line in self._screen:
            self.shown.append(line.rstrip("\n"))
            if found := re.search(pattern, self.shown[-1]):
                return found
        raise AssertionError(f"{pattern!r} was not printed, but:\n" + "\n".join(self.shown))

    def type(self, line: str) -> None:
        self._keys.write(line + "\n")
        self._keys.flush()

    def interrupt(self) -> int | None:
        """Ctrl-C.  Returns the exit status."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGINT)
        return self.end()

    def end(self) -> int | None:
        """Wait for the end.  Returns the exit status, `None` when it has not come."""
        self._process.join(TIMEOUT_S)
        return self._process.exitcode

    def kill(self) -> None:
        """End it at once.  Idempotent."""
        self._process.kill()
        self._process.join()
        self._screen.close()
        self._keys.close()


@contextmanager
def terminal(folder: Path, words: list[str]) -> Iterator[Terminal]:
    """Killed in the end if it still runs."""
    made = Terminal(folder, words)
    try:
        yield made
    finally:
        made.kill()


def _run(folder: Path, words: list[str], keys: Connection, screen: Connection) -> None:
    os.chdir(folder)
    for number, fd in enumerate((keys.fileno(), screen.fileno(), screen.fileno())):
        os.dup2(fd, number)
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8")
    sys.argv = words
    sys.path.insert(0, str(folder))  # as Python does for the folder of a script
    runpy.run_path(words[0], run_name="__main__")
