"""Every kind of NAT against every kind, over UDP and TCP, with whole nodes: who connects, by which path, how fast.

Namespaces and nodes are made once: a dialer and a listener behind each kind.  On the internet itself run three more
nodes, in three networks: everybody's first peers, who see from where each node comes, and help as their plugins let
them.  Over TCP this internet carries no UDP; over UDP all may dial TCP too, which is how those without UDP get there.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import combinations_with_replacement
from pathlib import Path

from bench.standstill import Standstill, watching
from peerkit import Address
from peerkit.errors import PeerkitError
from peerkit.identity import PeerId
from peerkit.testing import NATS
from tests.natlab.laboratory import Laboratory, laboratory
from tests.natlab.nodes import LabNode, helpers, started
from tests.natlab.promises import Attempt, Cell

TRANSPORTS = ("udp", "tcp")
PUBLIC_NODES = 3
CONNECT_S = 20.0
KNOWN_S = 60.0  # until a node has found out how others reach it
PATIENCE_S = 20.0  # for a relayed session to become direct


class Matrix:
    """Dialers and listeners of one transport, connected to the public nodes.

    Args:
        public: the nodes on the internet.
        dialers, listeners: by kind.
    """

    def __init__(
        self,
        transport: str,
        public: Sequence[LabNode],
        dialers: dict[str, LabNode],
        listeners: dict[str, LabNode],
        standstill: Standstill,
    ) -> None:
        self._transport = transport
        self._public = public
        self._dialers = dialers
        self._listeners = listeners
        self._standstill = standstill
        self._patience_s = PATIENCE_S if "holepunch" in helpers() else 0.0

    def meet(self) -> None:
        """Everybody connects to every public node; then the listeners get to know how they can be reached."""
        for node in (*self._dialers.values(), *self._listeners.values()):
            for public in self._public:
                node.connect_to(public, CONNECT_S)
        deadline = time.monotonic() + KNOWN_S
        while time.monotonic() < deadline and not all(map(self._ways, self._listeners.values())):
            time.sleep(0.2)

    def cell(self, dialer: str, listener: str, runs: int) -> Cell:
        attempts = [self.attempt(self._dialers[dialer], self._listeners[listener]) for _ in range(runs)]
        return Cell(dialer, listener, self._transport, attempts)

    def attempt(self, dialer: LabNode, listener: LabNode) -> Attempt:
        """Connect, wait until the path is direct or will not be, and part as if they had never met."""
        began_at = time.monotonic()
        try:
            path = self._connect(dialer, listener)
            seconds = self._standstill.seconds(began_at, time.monotonic())
            while path == "relayed" and seconds < self._patience_s:
                time.sleep(0.02)
                path = dialer.peers().get(listener.peer_id, {"path": ""})["path"]
                seconds = self._standstill.seconds(began_at, time.monotonic())
            return Attempt(path, seconds, "" if path else "the session ended")
        except PeerkitError as exc:
            return Attempt("", time.monotonic() - began_at, str(exc))
        finally:
            self._part(dialer, listener)

    def _connect(self, dialer: LabNode, listener: LabNode) -> str:
        failed: PeerkitError | None = None
        for way in self._ways(listener):
            try:
                answer = dialer.ask("connect", target=str(way), timeout_s=CONNECT_S)
                return str(answer["path"])
            except PeerkitError as exc:
                failed = exc
        raise failed or PeerkitError("the listener has no address that looks public")

    def _ways(self, listener: LabNode) -> list[Address]:
        """The addresses of its record as a public node has it, direct ones first."""
        known = [Address.parse(text) for text in self._public[0].peers()[listener.peer_id]["addresses"]]
        public = [address.with_peer(PeerId.parse(listener.peer_id)) for address in known if not address.is_local]
        return [each for scheme in (self._transport, "relay") for each in public if each.scheme == scheme]

    def _part(self, dialer: LabNode, listener: LabNode) -> None:
        dialer.leave(listener)
        listener.leave(dialer)
        dialer.site.forget(listener.site.external)
        listener.site.forget(dialer.site.external)


@contextmanager
def matrix(
    lab: Laboratory,
    transport: str,
    dialers: Sequence[str],
    listeners: Sequence[str],
    folder: Path,
    public_nodes: int = PUBLIC_NODES,
) -> Iterator[Matrix]:
    """Start the nodes of one transport and let them meet.

    Args:
        dialers, listeners: kinds.
    """
    public = [lab.site() for _ in range(public_nodes)]
    sites = [lab.site(NATS[kind]) for kind in (*dialers, *listeners)]
    lab.carry_udp(transport == "udp")
    with ExitStack() as stack:
        starting = [
            stack.enter_context(started(public, folder, TRANSPORTS)),
            stack.enter_context(started(sites, folder, [transport])),
        ]
        for node in (node for nodes in starting for node in nodes):
            node.wait_until_ready()
        others, nodes = starting
        made = Matrix(
            transport,
            others,
            dict(zip(dialers, nodes[: len(dialers)], strict=True)),
            dict(zip(listeners, nodes[len(dialers) :], strict=True)),
            stack.enter_context(watching()),
        )
        made.meet()
        yield made


def cells(kinds: Sequence[str], transports: Sequence[str], runs: Callable[[Cell], int], folder: Path) -> Iterator[Cell]:
    """Every unordered pair, cell by cell.

    Args:
        runs: how often for an empty cell.
    """
    with laboratory() as lab:
        for transport in transports:
            with matrix(lab, transport, kinds, kinds, folder) as made:
                for dialer, listener in combinations_with_replacement(kinds, 2):
                    yield made.cell(dialer, listener, runs(Cell(dialer, listener, transport, ())))
