"""How long a command takes, without the time in which the machine stood still: `python -m bench.timed COMMAND…`."""

import subprocess
import sys
import time

from .standstill import watching


def main(command: list[str]) -> int:
    with watching() as still:
        began_at = time.monotonic()
        status = subprocess.run(command).returncode
        ended_at = time.monotonic()
        print(f"{still.seconds(began_at, ended_at):.1f} s of {ended_at - began_at:.1f} s", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
