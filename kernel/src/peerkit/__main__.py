"""`python -m peerkit` is the `peerkit` command."""

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main())
