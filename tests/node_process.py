"""A node's process, forked from one that has imported everything: most of what a node costs to start is imports.

It is `peerkit up` all the same, in a process of its own; only the interpreter and the imports are not its own.
"""

import os
import sys
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

from peerkit._cli.main import run
from tests.netns.space import Space

_forking = get_context("forkserver")
_forking.set_forkserver_preload([__name__, "tests.node_imports"])


class NodeProcess:
    """`peerkit up`, running.

    Args:
        words: what follows `up`.
        log: where its standard error goes.
        space: where it runs, unless here.

    Attributes:
        stdout: what it prints.
    """

    def __init__(self, words: Sequence[str], log: Path, space: Space | None = None) -> None:
        reader, writer = _forking.Pipe(duplex=False)
        with reader, writer:
            self._process = _forking.Process(target=_run, args=(space, words, writer, log), daemon=True)
            self._process.start()
            self.stdout: TextIO = os.fdopen(os.dup(reader.fileno()))

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def stop(self, timeout_s: float = 100.0) -> int | None:
        """Ask it to leave; returns its exit status, `None` when it has not left in time."""
        self._process.terminate()
        self._process.join(timeout_s)
        return self._process.exitcode

    def kill(self) -> None:
        """End it at once.  Idempotent."""
        self._process.kill()
        self._process.join()
        self.stdout.close()


def _run(space: Space | None, words: Sequence[str], output: Connection, log: Path) -> None:
    if space is not None:
        space.enter()
    with log.open("w") as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = os.fdopen(2, "w")
    sys.stdout = os.fdopen(output.fileno(), "w", closefd=False)
    sys.exit(run(["up", *words]))
