"""Two processes run nodes with plugins of others beside the standard ones: a security, a protocol with a codec that is
not protobuf, and one that `peerkit new-plugin` began."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.packaging.wheelhouse import own_environ, run

pytestmark = pytest.mark.packaging

PROFILE = """
[node]
extends = "local"
enable = ["signed_keys", "packed_tally", "greeter"]
disable = ["secure_noise"]
log_level = "debug"
"""


@contextmanager
def up(environment: Path, folder: Path, log: Path) -> Iterator[list[str]]:
    """A node in a process of its own; gives its addresses."""
    profile = folder / "profile.toml"
    profile.write_text(PROFILE)
    command: list[str | Path] = [environment / "bin/peerkit", "up", "--data-dir", folder / "node", "--profile", profile]
    with (
        log.open("w") as told,
        subprocess.Popen(
            command, cwd=folder, env=own_environ(), stdout=subprocess.PIPE, stderr=told, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            ready, _, *addresses = process.stdout.readline().split() or ["", ""]
            assert ready == "ready", log.read_text()
            yield addresses
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0
        finally:
            process.kill()


def test_two_nodes_talk_and_one_with_another_security_is_told_no(environment: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with up(environment, tmp_path, log) as addresses:
        told = json.loads(run([environment / "bin/python", Path(__file__).with_name("talk.py"), *addresses], tmp_path))
    talks = told["talks"]
    assert [talk["transport"] for talk in talks] == ["tcp", "udp"]
    assert [talk["tally"] for talk in talks] == [[3, 39], [6, 78]]
    for talk in talks:
        assert {"greeter", "example.org/tally"} < set(talk["protocols"])
        assert "Ada" in talk["greeting"]
        assert "a tally takes up to 64 numbers of 8 bytes, not 9 bytes" in talk["refused"]
    assert "another network or security plugin" in told["stranger"]
    failures = [line for line in log.read_text().splitlines() if "handshake failed" in line and "tcp://" in line]
    assert any("a fresh key has 32 bytes, not " in line for line in failures), failures
