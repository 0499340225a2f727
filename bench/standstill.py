"""Time in which the whole machine stood still, so that a benchmark can leave it out.

A virtual machine whose host gives it a share of a core runs for some tenths of a second and then stands still for as
long; nothing inside tells (processor time counts it, `steal` does not).  One watcher for each core, of the real-time
class, sleeps 4 ms at a time; when the watchers of all cores woke late together, no core ran.  Only that is left out:
what the system's own scheduler gives to other programs counts.  Where the real-time class cannot be had (it takes root
on Linux) nothing is left out.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

SLEEP_S = 0.004
LATE_S = 0.004  # more than a busy core makes a real-time process wait (measured: 1 ms)

Span = tuple[float, float]


class Standstill:
    """What the watchers saw so far.  Times are of `time.monotonic`, which all processes of a machine share."""

    def __init__(self, notes: "list[IO[str]]") -> None:
        self._notes = notes
        self._rests = [""] * len(notes)
        self._late: list[list[Span]] = [[] for _ in notes]
        self._began_at = time.monotonic()

    @property
    def is_watched(self) -> bool:
        return bool(self._notes)

    @property
    def share(self) -> float:
        """Part of the time since the beginning, 0 to 1."""
        now = time.monotonic()
        return 1 - self.seconds(self._began_at, now) / max(now - self._began_at, SLEEP_S)

    def seconds(self, began_at: float, ended_at: float) -> float:
        """Length of a span without what the machine stood still in it."""
        time.sleep(3 * SLEEP_S)  # the watchers tell of what has just ended
        for i, note in enumerate(self._notes):
            self._read(i, note)
        still = [(began_at, ended_at)] if self._notes else []
        for late in self._late:
            still = _common(still, late)
        return ended_at - began_at - sum(end - start for start, end in still)

    def _read(self, i: int, note: IO[str]) -> None:
        *lines, self._rests[i] = (self._rests[i] + note.read()).split("\n")
        for line in lines:
            start, end = line.split()
            self._late[i].append((float(start), float(end)))


def _common(a: list[Span], b: list[Span]) -> list[Span]:
    """What two ordered lists of spans share."""
    found: list[Span] = []
    i = j = 0
    while i < len(a) and j < len(b):
        start, end = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if start < end:
            found.append((start, end))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return found


@contextmanager
def watching() -> Iterator[Standstill]:
    """Watch until the end of the block."""
    watchers: list[subprocess.Popen[str]] = []
    with ExitStack() as stack:
        stack.callback(_end, watchers)
        notes: list[IO[str]] = []
        for core in sorted(os.sched_getaffinity(0)) if sys.platform == "linux" and os.geteuid() == 0 else ():
            # A file: a pipe that nobody reads for long would fill, and hold up the watcher itself.
            path = stack.enter_context(tempfile.NamedTemporaryFile("w+")).name
            notes.append(stack.enter_context(open(path)))
            command = [sys.executable, "-S", str(Path(__file__)), str(core), path]
            watchers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True))
        for watcher in watchers:
            assert watcher.stdout is not None
            watcher.stdout.readline()
        yield Standstill(notes)


def _end(watchers: "list[subprocess.Popen[str]]") -> None:
    for watcher in watchers:
        watcher.terminate()
        watcher.communicate()  # and closes its end of the pipe


def _watch(core: int, path: str) -> None:
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    print("ready", flush=True)
    with open(path, "w", buffering=1) as note:
        last = time.monotonic()
        while True:
            time.sleep(SLEEP_S)
            now = time.monotonic()
            if now - last > SLEEP_S + LATE_S:
                note.write(f"{last + SLEEP_S} {now}\n")
            last = now


if __name__ == "__main__":
    _watch(int(sys.argv[1]), sys.argv[2])
