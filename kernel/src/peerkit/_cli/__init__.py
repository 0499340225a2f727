"""The `peerkit` command.

Against a running node it imports click, json and socket, nothing of the kernel: the node's own catalogue of operations
says which commands there are.  Only what starts a node (`up`, `demo`, a one-shot `get` or `search`) loads the kernel.
"""


def main() -> int:
    """Run the command with the arguments of this process; returns the exit status."""
    import os
    import sys

    from .main import run, tell_bug

    if os.environ.get("PEERKIT_DEBUG") != "1":
        sys.excepthook = tell_bug
    return run()
