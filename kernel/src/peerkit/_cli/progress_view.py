"""How far long work is: a bar on a terminal, else a plain line every few seconds; always on standard error."""

import sys
import time
from typing import TYPE_CHECKING, TextIO

from .._control.wire import Progress
from . import render

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

QUIET_S = 0.4  # work that is over before shows nothing
LINE_INTERVAL_S = 5.0


class ProgressView:
    """Give it every report; `close` takes the bar away.

    Args:
        name: the command, shown before plain lines.
        plain_lines: whether to write lines where there is no terminal.
    """

    def __init__(self, name: str, plain_lines: bool = True, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = stream or sys.stderr
        self._plain_lines = plain_lines
        self._began_at = time.monotonic()
        self._next_line_at = self._began_at + LINE_INTERVAL_S
        self._bars: Bars | None = None

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._stream.isatty():
            if now - self._began_at >= QUIET_S:
                self._draw(progress)
        elif self._plain_lines and now >= self._next_line_at:
            self._next_line_at = now + LINE_INTERVAL_S
            print(f"peerkit: {self._name}: {describe(progress, now - self._began_at)}", file=self._stream, flush=True)

    def close(self) -> None:
        """Idempotent."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _draw(self, progress: Progress) -> None:
        if self._bars is None:
            self._bars = _bars(self._stream)
            self._bars.add_task("", total=None, note="")
            self._bars.start()
        task = self._bars.tasks[0]
        note = describe(progress, time.monotonic() - self._began_at, with_text=False)
        self._bars.update(
            task.id,
            description=render.cut(render.safe(progress.text or self._name), 40),
            completed=progress.done,
            total=progress.total,
            note=note,
        )


def _bars(stream: TextIO) -> "Bars":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.description}", markup=False)
    note = TextColumn("{task.fields[note]}", markup=False)
    return Progress(
        text,
        BarColumn(bar_width=30),
        note,
        TimeRemainingColumn(compact=True),
        console=Console(file=stream),
        transient=True,
    )


def describe(progress: Progress, elapsed_s: float, with_text: bool = True) -> str:
    """`12.0 of 64.0 MiB (19 %), 45.2 MB/s` or `3 of 10 peers`."""
    if progress.unit == "bytes":
        done, total = render.size(progress.done), progress.total and render.size(progress.total)
        unit = f", {render.rate(progress.done / elapsed_s)}" if elapsed_s > 0.5 and progress.done else ""
    else:
        done, total = f"{progress.done:g}", progress.total and f"{progress.total:g}"
        unit = f" {render.safe(progress.unit)}" if progress.unit else ""
    share = f" ({100 * progress.done / progress.total:.0f} %)" if progress.total and progress.unit == "bytes" else ""
    text = f"{done} of {total}{share}{unit}" if total else f"{done}{unit}"
    return f"{render.safe(progress.text)}: {text}" if with_text and progress.text else text
