"""The environment of the systems that Peerkit is measured beside: `.venv-bench`, made by `make bench`.

They live apart, because their pins (an old protobuf, an old cryptography) are not ours.
"""

import subprocess
from functools import cache
from pathlib import Path

PYTHON = Path(__file__).parents[2] / ".venv-bench" / "bin" / "python"


@cache
def has_peer(module: str) -> bool:
    """Whether the peer's `module` can be imported there."""
    if not PYTHON.exists():
        return False
    done = subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, timeout=60)
    return done.returncode == 0
