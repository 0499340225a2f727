"""Whole nodes (`peerkit up`) on hosts of the laboratory, asked over their control sockets."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from peerkit.client import SyncClient
from peerkit.errors import NodeNotRunning, PeerUnreachable
from tests.natlab.laboratory import Site
from tests.node_process import NodeProcess

PORT = 4_433
TRIES = 6  # to reach a node that has just started; each takes 5 s or more
NETWORK = "natlab"
HELPFUL = ("public_address", "relay", "holepunch")  # whichever of them are installed
SEEKING = ("discovery_kademlia", "lan_broadcast", "search", "warehouse")
_PROFILE = """\
[node]
extends = "local"
network = "{network}"
listen = [{listen}]
enable = [{enable}]
disable = [{disable}]
log_level = "warning"
"""


class LabNode:
    """A running node.

    Attributes:
        peer_id: in text form.
        site: where it is.
    """

    def __init__(self, site: Site, process: NodeProcess, data_dir: Path) -> None:
        self.site = site
        self.data_dir = data_dir
        self.peer_id = ""
        self._process = process
        self._client: SyncClient | None = None
        self._lock = threading.Lock()  # a client asks one thing at a time

    def wait_until_ready(self) -> None:
        words = self._process.stdout.readline().split()
        if words[:1] != ["ready"]:
            raise RuntimeError(f"peerkit up said {' '.join(words) or 'nothing'}: {self.log[-2000:]}")
        self.peer_id = words[1]
        for left in reversed(range(TRIES)):
            try:
                self._client = SyncClient.connect(self.data_dir)
                return
            except NodeNotRunning:  # or too busy, while all the others start
                if not left:
                    raise

    @property
    def log(self) -> str:
        return self.data_dir.with_suffix(".log").read_text()

    def ask(self, operation: str, **arguments: Any) -> Any:
        """Raises what the node raised."""
        assert self._client is not None, "the node is ready"
        with self._lock:
            return self._client.call(operation, **arguments)

    def peers(self) -> dict[str, Any]:
        """By peer id, as `peerkit peers` tells."""
        return {peer["peer_id"]: peer for peer in self.ask("peers")}

    def connect_to(self, public: "LabNode", timeout_s: float, scheme: str = "udp") -> None:
        """Connect to a node on the internet; again if it is too busy, while all the others start."""
        for left in reversed(range(TRIES)):
            try:
                self.ask("connect", target=f"{scheme}://{public.site.external}:{PORT}", timeout_s=timeout_s)
                return
            except PeerUnreachable:
                if not left:
                    raise

    def leave(self, other: "LabNode") -> None:
        """End the session with a peer and forget that it ever was."""
        self.ask("trust.deny", rules=[other.peer_id])
        self.ask("trust.allow", rules=[other.peer_id])

    def end(self) -> None:
        """At once: what it would do to leave in good order is no part of this."""
        self._process.kill()
        if self._client is not None:
            self._client.close()


@contextmanager
def started(
    sites: Sequence[Site], folder: Path, listen: Sequence[str], also: Sequence[str] = ()
) -> Iterator[Sequence[LabNode]]:
    """Start a node on the first host of each site, all at once, and end them afterwards.

    Args:
        folder: for their data directories, which are new.
        listen: schemes, each on `PORT`.
        also: which of `SEEKING` they have all the same.
    """
    name = f"{'-'.join(listen)}-{sites[0].number}"
    profile = folder / f"{name}.toml"
    profile.write_text(_profile(listen, also))
    with ExitStack() as stack:
        nodes = []
        for site in sites:
            host = site.hosts[0]
            data_dir = folder / f"{name}-{host.ip}"
            words = ("--data-dir", str(data_dir), "--profile", str(profile))
            process = NodeProcess(words, data_dir.with_suffix(".log"), host.space)
            nodes.append(LabNode(site, process, data_dir))
            stack.callback(nodes[-1].end)
        yield nodes


def helpers() -> list[str]:
    """The plugins of `HELPFUL` that are installed."""
    installed = {point.name for point in entry_points(group="peerkit")}
    return [name for name in HELPFUL if name in installed]


def _profile(listen: Sequence[str], also: Sequence[str]) -> str:
    enable = helpers()
    installed = {point.name for point in entry_points(group="peerkit")}
    # Who finds whom by itself would be no pair of the matrix.
    disable = [name for name in SEEKING if name in installed and name not in also]
    return _PROFILE.format(
        network=NETWORK,
        listen=", ".join(f'"{scheme}://0.0.0.0:{PORT}"' for scheme in listen),
        enable=", ".join(f'"{name}"' for name in enable),
        disable=", ".join(f'"{name}"' for name in disable),
    )
