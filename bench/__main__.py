"""`python -m bench [NAME…] [--json FILE] [--quick]`: a Markdown table on stdout, the values in the file."""

import argparse
import importlib
import json
import os
import platform
import sys
import time
from pathlib import Path

from .row import Row, table
from .standstill import Standstill, watching

NAMES = (
    "requests",
    "transfer",
    "share",
    "footprint",
    "small",
    "simulation",
    "udp",
    "key_updates",
    "sessions",
    "flood",
    "congestion",
)
RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    """Exit status 1 when a benchmark could not run; a figure that misses its aim is no failure, it is said."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Peerkit beside its peers, as ratios.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)}; all unless told")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="where the values go")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a look; its figures mean little")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    rows: list[Row] = []
    failed: dict[str, str] = {}
    with watching() as still:
        for name in options.names or NAMES:
            began_at = time.monotonic()
            try:
                rows += importlib.import_module(f"bench.{name}").run(still, options.quick)
            except Exception as exc:  # one that cannot run must not take the figures of the others with it
                failed[name] = f"{type(exc).__name__}: {exc}"
            print(f"{name}: {time.monotonic() - began_at:.0f} s", file=sys.stderr, flush=True)
        described = machine(still)
    print(f"{described}\n\n{table(rows)}")
    for name, reason in failed.items():
        print(f"\n{name} could not run: {reason}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    found = {"machine": described, "quick": options.quick, "rows": [r.as_json() for r in rows], "failed": failed}
    options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return 1 if failed else 0


def machine(still: Standstill) -> str:
    """The machine in a line; the load, and how much of the time it ran, tell how far to trust the figures."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    stood = f"; it stood still {still.share:.0%} of the time, which is left out" if still.is_watched else ""
    cores, python = os.cpu_count(), platform.python_version()
    return f"{platform.system()} {platform.machine()}, {cores} cores, Python {python}{load}{stood}"


if __name__ == "__main__":
    sys.exit(main())
