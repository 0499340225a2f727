"""The keys of one direction of a connection, and how they follow each other.

A packet says by one bit, the *phase*, whether it was sealed with an even or an odd generation.  A sender takes the next
key when the present one is worn out and the other side has acknowledged a packet under it, and flips the phase.  The
receiver has the next key ready: when a packet with the other phase and a new counter opens under it, the receiver has
followed.  The last key opens stragglers for three probe timeouts.  Counters go on across keys, so no nonce repeats.

Source: RFC 9001 §6, but each direction changes by itself, and the receiver never answers with a change of its own.
"""

from collections.abc import Sequence

from peerkit.errors import LocalProtocolError, VerificationFailed
from peerkit.protection import AeadProtection
from peerkit.security import PacketProtection
from peerkit.transport import Buffer

PHASE = 0x20  # bit of the first byte
_RESERVE = 1_024  # packets of a key; far more than are sent without one of them being acknowledged


class SendKeys:
    """Args:
        max_packets: that one key seals; the protection's own bound or less.
        life_s: how long one key may seal.

    Attributes:
        counter: of the next packet.
        phase: `PHASE` or 0.
        updates: keys taken after the first.
    """

    __slots__ = (
        "_began_at",
        "_began_counter",
        "_confirmed",
        "_life_s",
        "_max",
        "_protection",
        "_reserve",
        "counter",
        "phase",
        "updates",
    )

    def __init__(self, protection: PacketProtection, life_s: float, now: float, max_packets: int | None = None) -> None:
        self._protection = protection
        self._max = min(max_packets or protection.max_packets, protection.max_packets)
        self._reserve = min(self._max // 4, _RESERVE)
        self._life_s = life_s
        self._began_at = now
        self._began_counter = 0
        self._confirmed = False
        self.counter = 0
        self.phase = 0
        self.updates = 0

    @property
    def left(self) -> int:
        """Packets that may still be sealed before the key is spent and no next one may be taken."""
        return self._began_counter + self._max - self.counter

    @property
    def left_for_data(self) -> int:
        """The same for packets that need not leave now: some are kept for acknowledgements and probes, without which
        the peer could not acknowledge the key."""
        return self.left - self._reserve

    @property
    def wants_acknowledgement(self) -> bool:
        """Whether half of the key is spent on packets that the peer need not acknowledge, so that none tells us."""
        return not self._confirmed and 2 * (self.counter - self._began_counter) >= self._max

    def acked(self, largest: int) -> None:
        """The other side has opened this counter."""
        if largest >= self._began_counter:
            self._confirmed = True

    def prepare(self, now: float) -> None:
        """Take the next key if it is time; before each batch.  A key counts as worn out at three quarters, which leaves
        room for what is sent while its first acknowledgement is on the way."""
        if not self._confirmed:
            return
        sealed = self.counter - self._began_counter
        if 4 * sealed >= 3 * self._max or now - self._began_at >= self._life_s:
            self._protection = self._protection.next_generation()
            self._began_at, self._began_counter = now, self.counter
            self._confirmed = False
            self.phase ^= PHASE
            self.updates += 1

    def seal(self, payloads: Sequence[Buffer]) -> list[bytes]:
        """Seal a batch under ascending counters, the first of them the present `counter`.

        Raises:
            LocalProtocolError: more than are `left`.
        """
        first, protection = self.counter, self._protection
        end = first + len(payloads)
        if end > self._began_counter + self._max:
            raise LocalProtocolError("the key is spent before the peer has acknowledged it")
        self.counter = end
        if isinstance(protection, AeadProtection):  # the kernel's own has a faster form for batches
            return protection.seal_batch(first, payloads)
        return [protection.seal(counter, b"", payload) for counter, payload in enumerate(payloads, first)]


class ReceiveKeys:
    """The key in use, the one before and the one ahead.

    Attributes:
        phase: of the key in use.
        largest: counter that the key in use has opened, -1 before any.
    """

    __slots__ = ("_current", "_first", "_last", "_last_until", "_next", "phase", "updates")

    def __init__(self, protection: PacketProtection) -> None:
        self._current = protection
        self._next = protection.next_generation()
        self._last: PacketProtection | None = None
        self._last_until = 0.0
        self._first = 0  # smallest counter that the key in use has opened
        self.phase = 0
        self.updates = 0

    def open_batch(self, first: int, sealed: Sequence[Buffer]) -> list[bytes]:
        """Open packets with ascending counters, all of the present phase.

        Raises `VerificationFailed` when one does not verify."""
        protection = self._current
        if isinstance(protection, AeadProtection):
            return protection.open_batch(first, sealed)
        return [protection.open(counter, b"", packet) for counter, packet in enumerate(sealed, first)]

    def open(self, phase: int, counter: int, sealed: Buffer, probe_timeout_s: float, now: float) -> bytes:
        """Open one packet, with whichever key its phase and counter ask for, and follow a key update.

        Raises:
            VerificationFailed: it was not sealed by the peer, or too long ago.
        """
        if phase == self.phase:
            return self._current.open(counter, b"", sealed)
        if counter < self._first:
            if self._last is None or now > self._last_until:
                raise VerificationFailed("a packet comes after its key was forgotten")
            return self._last.open(counter, b"", sealed)
        opened = self._next.open(counter, b"", sealed)
        self._last, self._last_until = self._current, now + 3 * probe_timeout_s
        self._current = self._next
        self._next = self._current.next_generation()
        self._first = counter
        self.phase = phase
        self.updates += 1
        return opened
