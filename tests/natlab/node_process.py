"""The process of a node in a namespace, forked from one that has imported everything: most of a start is imports."""

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
_forking.set_forkserver_preload([__name__, "tests.natlab.node_imports"])


class NodeProcess:
    """`peerkit up`, running.

    Args:
        words: what follows `up`.
        log: where its standard error goes.

    Attributes:
        stdout: what it prints.
    """

    def __init__(self, space: Space, words: Sequence[str], log: Path) -> None:
        reader, writer = _forking.Pipe(duplex=False)
        with reader, writer:
            self._process = _forking.Process(target=_run, args=(space, words, writer, log), daemon=True)
            self._process.start()
            self.stdout: TextIO = os.fdopen(os.dup(reader.fileno()))

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join()
        self.stdout.close()


def _run(space: Space, words: Sequence[str], output: Connection, log: Path) -> None:
    space.enter()
    with log.open("w") as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = os.fdopen(2, "w")
    sys.stdout = os.fdopen(output.fileno(), "w", closefd=False)
    sys.exit(run(["up", *words]))
