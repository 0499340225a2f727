"""The environment of the systems that Peerkit is measured beside: `.venv-bench`, made by `make bench`.

They live apart, because their pins (an old protobuf, an old cryptography) are not ours.
"""

import shutil
import subprocess
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".venv-bench"
PYTHON = FOLDER / "bin" / "python"


@cache
def has_peer(module: str) -> bool:
    """Whether the peer's `module` can be imported there."""
    if not PYTHON.exists():
        return False
    done = subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, timeout=60)
    return done.returncode == 0


def has_node_peer(package: str) -> bool:
    """Whether the npm package is there, and Node.js to run it."""
    return shutil.which("node") is not None and (FOLDER / "node_modules" / package / "package.json").exists()
