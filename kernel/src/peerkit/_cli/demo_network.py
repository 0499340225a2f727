"""A network of real nodes on this machine: each a `peerkit up` process of its own, found through one of them."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..client import SyncClient
from ..errors import DeadlineExceeded, NodeNotRunning, PeerkitError

START_TIMEOUT_S = 90.0  # twelve interpreters at once on two slow cores
STOP_TIMEOUT_S = 15.0


@dataclass(slots=True)
class DemoNode:
    """One process.

    Attributes:
        address: with its peer id, once it is ready.
    """

    name: str
    data_dir: Path
    process: "subprocess.Popen[bytes]"
    peer_id: str = ""
    address: str = ""

    def client(self) -> SyncClient:
        """Raises `NodeNotRunning`."""
        return SyncClient.connect(self.data_dir)


class DemoNetwork:
    """Starts nodes below `folder`, and ends them; use it as a context manager.

    Attributes:
        keep: leave the processes running at the end.
    """

    def __init__(self, folder: Path, keep: bool = False) -> None:
        self.folder = folder
        self.keep = keep
        self.nodes: list[DemoNode] = []

    def __enter__(self) -> "DemoNetwork":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if not self.keep or kind is not None:
            self.stop()

    def start(self, name: str, bootstrap: str = "", *sets: str) -> DemoNode:
        """Start a process; `wait_ready` tells when it is there."""
        data_dir = self.folder / name
        data_dir.mkdir(mode=0o700)
        command = [sys.executable, "-m", "peerkit", "up", "--data-dir", str(data_dir), "--profile", "local"]
        for text in [f'node.bootstrap=["{bootstrap}"]'] * bool(bootstrap) + list(sets):
            command += ["--set", text]
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C in this terminal is ours to pass on, and `--keep` outlives it
                env={k: v for k, v in os.environ.items() if not k.startswith("PEERKIT_")},
            )
        node = DemoNode(name, data_dir, process)
        self.nodes.append(node)
        return node

    def wait_ready(self, node: DemoNode) -> None:
        """Read the `ready` line.

        Raises:
            NodeNotRunning: the process ended; its last words are in the sentence.
            DeadlineExceeded: it says nothing.
        """
        assert node.process.stdout is not None
        line = _read_line(node.process.stdout, START_TIMEOUT_S)
        if line is None:
            raise DeadlineExceeded(f"starting {node.name}", START_TIMEOUT_S)
        words = line.split()
        if len(words) < 2 or words[0] != "ready":
            log = (self.folder / f"{node.name}.log").read_text("utf-8", "replace").strip()
            raise NodeNotRunning(f"{node.name} did not start: {log.splitlines()[-1] if log else 'it said nothing'}")
        node.peer_id = words[1]
        node.address = words[2] if len(words) > 2 else ""

    def stop(self) -> None:
        """Ask every process to leave, and end those that do not."""
        for node in self.nodes:
            with contextlib.suppress(ProcessLookupError):
                node.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for node in self.nodes:
            try:
                node.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait()
            if node.process.stdout is not None:
                node.process.stdout.close()
        self.nodes.clear()

    def known_peers(self) -> list[int]:
        """How many members each node has; 0 for one that does not answer."""
        counts = []
        for node in self.nodes:
            try:
                with node.client() as client:
                    peers = client.call("peers")
                counts.append(len(peers) if isinstance(peers, list) else 0)
            except PeerkitError:
                counts.append(0)
        return counts


def _read_line(stream: IO[bytes], timeout_s: float) -> str | None:
    """One line, what came before the end of the stream, or `None` after the deadline."""
    data = b""
    deadline = time.monotonic() + timeout_s
    while not data.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        part = os.read(stream.fileno(), 4096)
        if not part:
            break
        data += part
    return data.decode("utf-8", "replace")
