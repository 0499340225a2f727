"""`make natlab`: the matrix as a table, or as JSON; exit status 1 when a promise is not kept."""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from peerkit.testing import NATS
from tests.natlab.matrix import TRANSPORTS, cells
from tests.natlab.promises import Cell, broken
from tests.netns.space import missing

BIRTHDAY_RUNS = 3


def main() -> int:
    """Settings are environment variables: `RUNS`, `JSON`, `KINDS` and `TRANSPORTS` (words)."""
    if why := missing():
        print(f"natlab: {why}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the nodes end with us
    given = int(os.environ.get("RUNS") or 0)
    kinds = os.environ.get("KINDS", "").split() or list(NATS)
    transports = os.environ.get("TRANSPORTS", "").split() or TRANSPORTS
    done: list[Cell] = []
    with tempfile.TemporaryDirectory(prefix="natlab-") as folder:
        for cell in cells(
            kinds, transports, lambda cell: given or (BIRTHDAY_RUNS if cell.is_birthday else 1), Path(folder)
        ):
            done.append(cell)
            print(_line(cell), file=sys.stderr, flush=True)
    if os.environ.get("JSON"):
        print(json.dumps([cell.row for cell in done], indent=1))
    else:
        for transport in transports:
            print(_table(transport, kinds, {(c.dialer, c.listener): c for c in done if c.transport == transport}))
    failures = broken(done)
    for failure in failures:
        print(f"not as promised: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _line(cell: Cell) -> str:
    why = next((f"  {attempt.error}" for attempt in cell.attempts if attempt.error), "")
    return f"{cell.transport} {cell.dialer:>25} {cell.listener:<25} {_figures(cell)}{why}"


def _figures(cell: Cell) -> str:
    """`direct 0.41 s`, `relayed`, `–`; with shares where there are several runs."""
    runs = len(cell.attempts)
    share = f" {cell.direct}/{runs}" if runs > 1 else ""
    took = f" {cell.p50_s:.2f} s" if cell.p50_s is not None and cell.path == "direct" else ""
    return f"{cell.path or '–'}{share}{took}"


def _table(transport: str, kinds: list[str], of_pair: dict[tuple[str, str], Cell]) -> str:
    """Markdown, dialers downwards."""
    rows = [[transport, *kinds], ["---"] * (len(kinds) + 1)]
    for dialer in kinds:
        pairs = [of_pair.get((dialer, listener)) for listener in kinds]
        rows.append([dialer, *(_figures(cell) if cell else "" for cell in pairs)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


if __name__ == "__main__":
    sys.exit(main())
