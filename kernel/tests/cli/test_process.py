"""The command as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.tests.control.nodes import serving_on_a_thread
from kernel.tests.control.operations import Tasks

TIMEOUT_S = 100.0
pytestmark = pytest.mark.integration


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tasks]:
    """Of a running server in `PEERKIT_DATA_DIR`."""
    monkeypatch.setenv("PEERKIT_DATA_DIR", str(tmp_path / "data"))
    with serving_on_a_thread(tmp_path / "data") as tasks:
        yield tasks


def peerkit(*words: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "peerkit", *words]
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, env={**os.environ, **environ}, check=False)


@pytest.mark.usefixtures("tasks")
def test_a_command_against_a_node_loads_nothing_of_the_kernel() -> None:
    code = """
import sys
from peerkit._cli.main import run
status = run(["echo", "hi", "--json"])
heavy = {"asyncio", "pydantic", "pluggy", "rich", "structlog", "nacl", "cryptography", "google", "importlib.metadata"}
ours = {name for name in sys.modules if name.startswith("peerkit.")}
print(status, sorted(heavy & set(sys.modules)), sorted(n for n in ours if n.count(".") == 1), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=TIMEOUT_S, check=True)
    assert json.loads(done.stdout) == {"text": "hi"}
    assert done.stderr.decode().strip() == (
        "0 [] ['peerkit._cli', 'peerkit._control', 'peerkit.client', 'peerkit.errors']"
    )


@pytest.mark.usefixtures("tasks")
def test_status_and_streams_are_those_of_a_process() -> None:
    done = peerkit("fail", "lost")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"peerkit: nobody has it\n")


def test_without_a_node_a_command_says_so(tmp_path: Path) -> None:
    done = peerkit("status", "--data-dir", str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 6
    assert done.stderr.decode() == f"peerkit: no node is running in {tmp_path}; start one with `peerkit up`\n"


@pytest.mark.usefixtures("tasks")
def test_a_terminal_that_lacks_a_letter_gets_its_escape() -> None:
    done = peerkit("echo", "é", "--style", "quoted", PYTHONIOENCODING="latin-1")
    assert done.stdout == b"\\u201c\xe9\\u201d\n"
    assert done.returncode == 0


def test_ctrl_c_cancels_on_the_node(tasks: Tasks) -> None:
    process = subprocess.Popen([sys.executable, "-m", "peerkit", "wait"], stderr=subprocess.PIPE)
    with process:
        while not tasks.started.is_set():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert tasks.cancelled.is_set()


@pytest.mark.usefixtures("tasks")
def test_a_reader_that_leaves_is_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "peerkit", "many", "20000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 1
