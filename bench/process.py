"""The other end of a benchmark: a Python process that prints one line when it is ready."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@contextmanager
def serving(*arguments: str, python: str = sys.executable) -> Iterator[str]:
    """Run `python arguments` and yield its first line of output; it is ended afterwards."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [python, *arguments], stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, cwd=ROOT, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                errors.seek(0)
                raise RuntimeError(f"{arguments} said nothing: {errors.read().decode()[-2000:]}")
            yield line
        finally:
            process.terminate()
            process.wait(20)
            assert process.stdout is not None
            process.stdout.close()


def output_of(*arguments: str, python: str = sys.executable, timeout_s: float = 600) -> str:
    """What a process prints.  Raises `RuntimeError` with its last words when it fails."""
    done = subprocess.run([python, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=timeout_s)
    if done.returncode:
        raise RuntimeError(f"{arguments} failed: {done.stderr[-2000:]}")
    return done.stdout.strip()
