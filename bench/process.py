"""The processes of a benchmark: other ends that print one line when they are ready, and nodes of the command line."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .standstill import Span

ROOT = Path(__file__).parents[1]
PEERKIT = (sys.executable, "-m", "peerkit")


@contextmanager
def serving(*arguments: str, python: str | Path = sys.executable) -> Iterator[str]:
    """Run `python arguments` and yield its first line of output; it is ended afterwards."""
    with _running([str(python), *arguments]) as (_, line):
        yield line


def output_of(*arguments: str, python: str | Path = sys.executable, timeout_s: float = 300) -> str:
    """What a process prints.  Raises `RuntimeError` with its last words when it fails."""
    return _output([str(python), *arguments], timeout_s)


def numbers_of(*arguments: str, python: str | Path = sys.executable, timeout_s: float = 300) -> tuple[float, ...]:
    """The numbers that a process prints."""
    return tuple(float(word) for word in output_of(*arguments, python=python, timeout_s=timeout_s).split())


@dataclass(frozen=True, slots=True)
class UpNode:
    """A node of `peerkit up`.

    Attributes:
        start: from the process's start to its `ready` line.
    """

    data_dir: Path
    pid: int
    start: Span

    def command(self, *arguments: str, timeout_s: float = 300) -> Any:
        """What `peerkit arguments --json` answers, whole process."""
        command = [*PEERKIT, *arguments, "--json", "--data-dir", str(self.data_dir)]
        return json.loads(_output(command, timeout_s))


@contextmanager
def up(data_dir: Path, *sets: str) -> Iterator[UpNode]:
    """Run `peerkit up` with the preset `local`, and stop it afterwards."""
    command = [*PEERKIT, "up", "--profile", "local", "--data-dir", str(data_dir)]
    began_at = time.monotonic()
    with _running([*command, *(word for text in sets for word in ("--set", text))]) as (process, line):
        start = began_at, time.monotonic()
        if not line.startswith("ready"):
            raise RuntimeError(f"peerkit up said: {line}")
        yield UpNode(data_dir, process.pid, start)


@contextmanager
def _running(command: list[str]) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, cwd=ROOT, text=True
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline().strip()
            if not line:
                errors.seek(0)
                raise RuntimeError(f"{' '.join(command)} said nothing: {errors.read().decode()[-2000:]}")
            yield process, line
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _output(command: list[str], timeout_s: float) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout_s)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return done.stdout.strip()
