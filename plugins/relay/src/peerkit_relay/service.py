"""The serving side: who may be reached through us, and which circuits we carry.  Sans-IO; it dials nobody.

In: requests of proven peers, their datagrams, time.  Out: what to forward to whom, and circuits that are over.

Bounds (the attack): reservations in all and per prefix (a crowd of made-up peers takes every place), circuits in all
and per peer (one peer takes every circuit), seconds and bytes of a circuit (free transit for ever).
"""

from dataclasses import dataclass

from peerkit.clock import Rng
from peerkit.errors import LimitExceeded, NotFound
from peerkit.identity import PeerId

from .codec import FROM_RELAY, FROM_RELAY_BYTE, HEADER, TO_RELAY
from .settings import RelaySettings


@dataclass(slots=True)
class Reservation:
    """Attributes:
    prefix: where its peer is; empty for a local network, which no limit counts.
    """

    prefix: str
    ends_at: float


@dataclass(slots=True)
class Circuit:
    """Attributes:
    carried_bytes: both ways together.
    """

    id: int
    dialer: PeerId
    target: PeerId
    ends_at: float
    carried_bytes: int = 0

    def other(self, peer_id: PeerId) -> PeerId | None:
        if peer_id == self.dialer:
            return self.target
        return self.dialer if peer_id == self.target else None


class RelayService:
    """Attributes:
    reservations: by peer.
    circuits: by id.
    dropped: datagrams of no circuit.
    """

    def __init__(self, settings: RelaySettings, rng: Rng) -> None:
        self._settings = settings
        self._rng = rng
        self.reservations: dict[PeerId, Reservation] = {}
        self.circuits: dict[int, Circuit] = {}
        self.dropped = 0

    def reserve(self, peer_id: PeerId, prefix: str, now: float) -> int:
        """Grant or renew; returns the life in seconds.

        Args:
            prefix: of the address at which we see the peer; empty on a local network.

        Raises:
            LimitExceeded: every place is taken, or its neighbourhood has enough.
        """
        settings = self._settings
        others = [reservation for peer, reservation in self.reservations.items() if peer != peer_id]
        if len(others) >= settings.max_reservations:
            raise LimitExceeded("this relay has no place left")
        if prefix and sum(other.prefix == prefix for other in others) >= settings.max_reservations_per_prefix:
            raise LimitExceeded(f"this relay serves enough peers of {prefix}")
        self.reservations[peer_id] = Reservation(prefix, now + settings.reservation_s)
        return settings.reservation_s

    def connect(self, dialer: PeerId, target: PeerId, now: float) -> Circuit:
        """A new circuit, which the target has still to be told.

        Raises:
            NotFound: the target has no reservation here.
            LimitExceeded: too many circuits.
        """
        settings = self._settings
        if target not in self.reservations or dialer == target:
            raise NotFound(f"{target.short} has no reservation here")
        if len(self.circuits) >= settings.max_circuits:
            raise LimitExceeded("this relay carries as many circuits as it can")
        for peer in (dialer, target):
            if sum(peer in (c.dialer, c.target) for c in self.circuits.values()) >= settings.max_circuits_per_peer:
                raise LimitExceeded(f"{peer.short} has enough circuits here")
        while (circuit_id := int.from_bytes(self._rng.randbytes(4), "big")) in self.circuits:
            pass
        circuit = self.circuits[circuit_id] = Circuit(circuit_id, dialer, target, now + settings.circuit_s)
        return circuit

    def forward(self, sender: PeerId, datagram: bytes) -> tuple[PeerId, bytes] | None:
        """To whom a datagram goes, and what; `None`: nowhere."""
        direction, circuit_id = HEADER.unpack_from(datagram) if len(datagram) > HEADER.size else (FROM_RELAY, 0)
        circuit = self.circuits.get(circuit_id) if direction == TO_RELAY else None
        receiver = circuit.other(sender) if circuit is not None else None
        if circuit is None or receiver is None:
            self.dropped += 1
            return None
        circuit.carried_bytes += len(datagram)
        if circuit.carried_bytes > self._settings.circuit_bytes:
            return None
        return receiver, FROM_RELAY_BYTE + datagram[1:]

    def close(self, circuit_id: int, by: PeerId) -> Circuit | None:
        """One of the two ends it; `None` when it is not theirs."""
        circuit = self.circuits.get(circuit_id)
        if circuit is None or circuit.other(by) is None:
            return None
        return self.circuits.pop(circuit_id)

    def lost(self, peer_id: PeerId) -> list[Circuit]:
        """A peer has no session with us any more: its reservation and circuits are over."""
        self.reservations.pop(peer_id, None)
        over = [circuit for circuit in self.circuits.values() if peer_id in (circuit.dialer, circuit.target)]
        for circuit in over:
            del self.circuits[circuit.id]
        return over

    def sweep(self, now: float) -> list[tuple[Circuit, str]]:
        """Forget what has expired; returns the circuits that are over, with the reason."""
        for peer_id in [peer for peer, reservation in self.reservations.items() if reservation.ends_at <= now]:
            del self.reservations[peer_id]
        over = []
        for circuit in tuple(self.circuits.values()):
            if circuit.ends_at <= now:
                over.append((circuit, f"it lasted {self._settings.circuit_s} s, which is the limit here"))
            elif circuit.carried_bytes > self._settings.circuit_bytes:
                over.append((circuit, f"it carried {self._settings.circuit_bytes} bytes, which is the limit here"))
        for circuit, _ in over:
            del self.circuits[circuit.id]
        return over

    @property
    def peers(self) -> set[PeerId]:
        """Everybody whose session is needed."""
        ends = {peer for circuit in self.circuits.values() for peer in (circuit.dialer, circuit.target)}
        return ends | set(self.reservations)
