"""A program in a terminal of its own, as somebody who reads a page would run it."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TIMEOUT_S = 100.0  # of an end; the machine may be busy


def commands(page: Path) -> list[list[str]]:
    """The `python …` lines of a page's shell blocks, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line.startswith("python ")]


class Terminal:
    """Attributes:
    shown: the lines that the program has printed so far.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.shown: list[str] = []

    def until(self, pattern: str) -> re.Match[str]:
        """Read on until a line holds `pattern`."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.shown.append(line.rstrip("\n"))
            if found := re.search(pattern, self.shown[-1]):
                return found
        raise AssertionError(f"{pattern!r} was not printed, but:\n" + "\n".join(self.shown))

    def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def interrupt(self) -> int:
        """Ctrl-C.  Returns the exit status."""
        self._process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> int:
        """Wait for the end.  Returns the exit status."""
        return self._process.wait(TIMEOUT_S)


@contextmanager
def terminal(folder: Path, words: list[str]) -> Iterator[Terminal]:
    """Run `python words` in `folder`; it is killed in the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
    ) as process:
        try:
            yield Terminal(process)
        finally:
            process.kill()
