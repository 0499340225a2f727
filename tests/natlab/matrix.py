"""Every kind of NAT against every kind, over UDP and TCP, with whole nodes: who connects, by which path, how fast.

Namespaces and nodes are made once: a dialer and a listener behind each kind.  On the internet itself run three more
nodes, in three networks: everybody's first peers, who see from where each node comes, and help as their plugins let
them.  Over TCP this internet carries no UDP; over UDP all may dial TCP too, which is how those without UDP get there.
Most of a run is waiting, so several pairs run at a time, which share neither node nor router.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path
from threading import Lock

from bench.standstill import Standstill, watching
from peerkit import Address
from peerkit.errors import PeerkitError
from peerkit.identity import PeerId
from peerkit.testing import NATS
from tests.natlab.laboratory import Laboratory, laboratory
from tests.natlab.nodes import LabNode, helpers, started
from tests.natlab.promises import CERTAIN_RUNS, Attempt, Cell, is_short

TRANSPORTS = ("udp", "tcp")
PUBLIC_NODES = 3
CONNECT_S = 20.0
KNOWN_S = 60.0  # until a node has found out how others reach it
PATIENCE_S = 30.0  # for a relayed session to become direct, where that is promised
UNPROMISED_S = 1.5  # and where it is not: enough for the first attempt
AT_ONCE = 6  # pairs
AT_ONCE_MEETING = 8  # nodes


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
        self._lock = Lock()
        self._holds_holepunch = "holepunch" in helpers()

    def meet(self) -> None:
        """Everybody connects to every public node; then the listeners get to know how they can be reached."""
        with ThreadPoolExecutor(AT_ONCE_MEETING) as pool:
            for _ in pool.map(self._introduce, [*self._dialers.values(), *self._listeners.values()]):
                pass
        deadline = time.monotonic() + KNOWN_S
        while time.monotonic() < deadline and not all(map(self._ways, self._listeners.values())):
            time.sleep(0.2)

    def _introduce(self, node: LabNode) -> None:
        is_blocked = any(router.kind.blocks_udp for router in node.site.routers)
        for public in self._public:
            node.connect_to(public, CONNECT_S, "tcp" if is_blocked else self._transport)

    def cells(self, pairs: Sequence[tuple[str, str]], runs: Callable[[Cell], int]) -> Iterator[Cell]:
        """Each as soon as it is done.

        Args:
            pairs: dialer and listener, by kind.
            runs: how often for an empty cell.
        """
        waiting, running = list(pairs), dict[Future[Cell], tuple[str, str]]()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while waiting or running:
                for pair in tuple(waiting):
                    dialers, listeners = {each[0] for each in running.values()}, {each[1] for each in running.values()}
                    if len(running) < AT_ONCE and pair[0] not in dialers and pair[1] not in listeners:
                        waiting.remove(pair)
                        empty = Cell(*pair, self._transport, ())
                        running[pool.submit(self.cell, *pair, runs(empty))] = pair
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[done]
                    yield done.result()

    def cell(self, dialer: str, listener: str, runs: int) -> Cell:
        """Of one that falls short there are more runs, until it is certain."""
        cell = Cell(dialer, listener, self._transport, ())
        patience_s = PATIENCE_S if cell.promises_direct else UNPROMISED_S
        while len(cell.attempts) < runs or (is_short(cell) and len(cell.attempts) < CERTAIN_RUNS):
            attempt = self.attempt(
                self._dialers[dialer], self._listeners[listener], patience_s if self._holds_holepunch else 0.0
            )
            cell = replace(cell, attempts=[*cell.attempts, attempt])
        return cell

    def attempt(self, dialer: LabNode, listener: LabNode, patience_s: float) -> Attempt:
        """Connect, wait until the path is direct or will not be, and part as if they had never met.

        Args:
            patience_s: how long a relayed session may take to become direct.
        """
        began_at = time.monotonic()
        try:
            path = self._connect(dialer, listener)
            seconds = self._seconds_since(began_at)
            while path == "relayed" and seconds < patience_s:
                time.sleep(0.05)
                path = dialer.peers().get(listener.peer_id, {"path": ""})["path"]
                seconds = self._seconds_since(began_at)
            why = "" if path else "the session ended"
            return Attempt(path, seconds, why or (_tried(dialer, listener) if path == "relayed" else ""))
        except PeerkitError as exc:
            return Attempt("", self._seconds_since(began_at), str(exc))
        finally:
            self._part(dialer, listener)

    def _seconds_since(self, began_at: float) -> float:
        now = time.monotonic()
        with self._lock:
            return self._standstill.seconds(began_at, now)

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
        record = self._public[0].peers().get(listener.peer_id, {"addresses": ()})
        known = [Address.parse(text) for text in record["addresses"]]
        public = [address.with_peer(PeerId.parse(listener.peer_id)) for address in known if not address.is_local]
        return [each for scheme in (self._transport, "relay") for each in public if each.scheme == scheme]

    def _part(self, dialer: LabNode, listener: LabNode) -> None:
        dialer.leave(listener)
        listener.leave(dialer)
        dialer.site.forget(listener.site.external)
        listener.site.forget(dialer.site.external)


def _tried(dialer: LabNode, listener: LabNode) -> str:
    """What the doctor tells of a session that stayed relayed."""
    found = [f["details"] for f in dialer.ask("doctor") if f["details"].get("peer") == listener.peer_id]
    words = "{strategy}: {outcome} ({probes_sent}/{probes_heard}/{probes_answered})"
    return "; ".join(words.format(**each) for details in found for each in details.get("tries", ()))


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
                yield from made.cells(list(combinations_with_replacement(kinds, 2)), runs)
