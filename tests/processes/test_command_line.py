"""`peerkit up` and the commands against it: real processes, real sockets, real files."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from peerkit.client import SyncClient
from tests.node_process import NodeProcess

TIMEOUT_S = 100.0  # of one command; the machine may be busy
pytestmark = pytest.mark.integration

# Peers are met by their address here; finding them is what the demo and the simulations are for.
PROFILE = """
[node]
extends = "local"
disable = ["discovery_kademlia", "search"]
"""


@dataclass
class Up:
    """A running node."""

    process: NodeProcess
    data_dir: Path
    peer_id: str
    addresses: list[str]

    def ask(self, *words: str) -> Any:
        """The JSON answer of a command."""
        return json.loads(self.run("--json", *words).stdout)

    def run(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        return peerkit(*words, data_dir=self.data_dir, status=status)

    def ask_quickly(self, operation: str, **arguments: Any) -> Any:
        """As `ask`, by the client that the command line uses: a process less."""
        with SyncClient.connect(self.data_dir) as client:
            return client.call(operation, **arguments)


def peerkit(*words: str, data_dir: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    cache = data_dir.parent.parent / "cache"  # all tests of one run share it
    environ = {**os.environ, "PEERKIT_DATA_DIR": str(data_dir), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "peerkit", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environ, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def up(folder: Path, *names: str, words: Sequence[str] = ()) -> Iterator[list[Up]]:
    """Nodes that have started side by side."""
    profile = folder / "profile.toml"
    profile.write_text(PROFILE)
    with ExitStack() as stack:
        started = []
        for data_dir in (folder / name for name in names):
            command = ("--data-dir", str(data_dir), "--profile", str(profile), *words)
            started.append((data_dir, NodeProcess(command, data_dir.with_suffix(".log"))))
            stack.callback(started[-1][1].kill)
        nodes = []
        for data_dir, process in started:
            ready, peer_id, *addresses = process.stdout.readline().split()
            assert ready == "ready"
            nodes.append(Up(process, data_dir, peer_id, addresses))
        yield nodes


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Up]:
    with up(tmp_path, "node") as (running,):
        yield running


def test_a_node_says_ready_answers_and_leaves_gracefully(tmp_path: Path) -> None:
    (tmp_path / "profile.toml").write_text(PROFILE)
    data_dir = tmp_path / "node"
    words = ("up", "--data-dir", str(data_dir), "--profile", str(tmp_path / "profile.toml"))
    with subprocess.Popen([sys.executable, "-m", "peerkit", *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready, peer_id, *addresses = process.stdout.readline().split()
        assert ready == "ready"
        status = json.loads(peerkit("--json", "status", data_dir=data_dir).stdout)
        assert (status["peer_id"], status["listen"], status["peers"]) == (peer_id, addresses, 0)
        assert peerkit("id", data_dir=data_dir).stdout == f"{peer_id}\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
    assert not (data_dir / "control.json").exists()
    assert peerkit("status", data_dir=data_dir, status=6).stderr.startswith("peerkit: no node is running in")
    assert peerkit("id", data_dir=data_dir).stdout == f"{peer_id}\n"


def test_a_data_directory_is_for_one_node(node: Up) -> None:
    refused = peerkit("up", data_dir=node.data_dir, status=1)
    assert f"is used by another node (process {node.process.pid})" in refused.stderr
    assert node.ask_quickly("id") == {"peer_id": node.peer_id}


def test_a_port_in_use_is_one_sentence(node: Up, tmp_path: Path) -> None:
    listen = node.addresses[0].rpartition("/")[0]
    refused = peerkit(
        *("up", "--profile", str(tmp_path / "profile.toml"), "--set", f'listen=["{listen}"]'),
        data_dir=tmp_path / "other",
        status=1,
    )
    assert listen.rpartition(":")[2] in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_wrong_profile_names_every_problem(tmp_path: Path) -> None:
    words = ("up", "--set", "lisen=[]", "--set", "node.slots.member_in=-1")
    refused = peerkit(*words, data_dir=tmp_path / "node", status=2)
    assert "node.lisen" in refused.stderr
    assert "listen" in refused.stderr
    assert "node.slots.member_in" in refused.stderr
    assert not (tmp_path / "node").exists()


def test_a_file_is_shared_fetched_and_removed_by_commands(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "a file.bin").write_bytes(content)
    with up(tmp_path, "a", "b") as (a, b):
        (shared,) = a.ask("share", str(tmp_path / "a file.bin"))
        assert set(shared) == {"content_id", "name", "size_bytes", "type", "link"}
        assert a.ask("ls") == [shared]
        got = b.ask("get", shared["link"], "-o", str(tmp_path / "out.bin"))
        assert set(got) == {"content_id", "path", "size_bytes", "seconds", "bytes_per_s", "sources"}
        assert (tmp_path / "out.bin").read_bytes() == content
        b.ask("connect", a.addresses[-1])
        (peer,) = b.ask("peers")
        assert set(peer) >= {"peer_id", "addresses", "direction", "transport", "rtt_s", "protocols", "path", "loss"}
        assert peer["peer_id"] == a.peer_id
        (event, *_) = [
            json.loads(line) for line in b.run("--json", "events", "--type", "PeerConnected").stdout.splitlines()
        ]
        assert event["fields"]["peer_id"] == a.peer_id
        a.run("rm", shared["content_id"])
        assert a.ask_quickly("ls") == []
        assert (tmp_path / "a file.bin").read_bytes() == content


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(("listen", "transport"), [(["tcp"], "tcp"), (["tcp", "udp"], "udp")])
def test_a_file_goes_from_one_process_to_another(tmp_path: Path, loop: str, listen: list[str], transport: str) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "a file.bin").write_bytes(content)
    addresses = json.dumps([f"{scheme}://127.0.0.1:0" for scheme in listen])
    words = ("--set", f"loop={loop}", "--set", f"listen={addresses}")
    with up(tmp_path, "a", "b", words=words) as (a, b):
        (shared,) = a.ask_quickly("share", paths=[str(tmp_path / "a file.bin")])
        b.ask_quickly("get", id=shared["link"], output=str(tmp_path / "out.bin"))
        assert (tmp_path / "out.bin").read_bytes() == content
        b.ask_quickly("connect", target=a.addresses[-1])
        (peer,) = b.ask_quickly("peers")
        assert (peer["peer_id"], peer["transport"]) == (a.peer_id, transport)
        assert [node.process.stop() for node in (a, b)] == [0, 0]


def test_get_starts_a_node_by_itself(node: Up, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("remember the milk")
    (shared,) = node.ask_quickly("share", paths=[str(tmp_path / "notes.txt")])
    words = ("get", shared["link"], "-o", str(tmp_path / "got.txt"), "--profile", str(tmp_path / "profile.toml"))
    done = peerkit("--json", *words, data_dir=tmp_path / "short")
    assert json.loads(done.stdout)["content_id"] == shared["content_id"]
    assert (tmp_path / "got.txt").read_text() == "remember the milk"
    assert not (tmp_path / "short" / "control.json").exists()


def test_events_are_followed_until_ctrl_c(node: Up, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "peerkit", "events", "--follow", "--data-dir", str(node.data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "NodeStarted" in process.stdout.readline()
        node.ask_quickly("share", paths=[str(tmp_path / "profile.toml")])
        assert "ContentShared" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, err.strip()) == (130, "")  # click ends the line that shows ^C
