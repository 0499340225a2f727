"""Our side of handshakes that others begin.

    first packet ─admission─▶ opening ──answer──▶ WAITING ──message 2 (XX)──▶ keys ──┐
                                                    │ the same first message: the same answer again
                                          IK: keys ─┴──────────────────────────────▶ a sealed packet opens: the session

The answer is kept until the handshake is over, so that a repeated first message costs no computation; and for some time
afterwards, so that a late copy begins nothing.  Until the address is proven, no more is sent there than came from it.

Bounds: the kernel gives few places to handshakes; of answered ones at most 1,024 are remembered.
"""

import math
from collections import OrderedDict
from collections.abc import Callable

from peerkit.datagram import SessionAcceptor, SessionOpening
from peerkit.errors import PeerkitError, RemoteProtocolError

from .admission import Admission, Verdict
from .connection import Connection
from .dialer import MakeConnection
from .handshake_packets import (
    BINDING,
    FIRST_PACKET_BYTES,
    VERSION,
    Message,
    MessageParts,
    encode_cookie,
    encode_message,
    encode_versions,
)
from .packet_sender import Batch
from .paths import Route

REMEMBER_S = 30.0  # longer than a dialer repeats its first message
MAX_REMEMBERED = 1_024  # forgotten sooner, a late copy costs one more handshake within the budgets
MAX_PARTIAL = 64  # first messages of several packets: 0.5 MiB at most, and only for proven addresses


class Handshake:
    """One handshake that somebody began.

    Args:
        own_id, peer_id: the connection ids that we and they chose.
        first: the first message, whole.
        wake: called for a connection that ends with the handshake.
    """

    def __init__(
        self,
        route: Route,
        own_id: int,
        peer_id: int,
        first: bytes,
        is_proven: bool,
        wake: Callable[[Connection], None],
    ) -> None:
        self.route = route
        self.own_id = own_id
        self.peer_id = peer_id
        self.first = first
        self.is_proven = is_proven
        self._wake = wake
        self.opening: SessionOpening | None = None
        self.connection: Connection | None = None
        self.answer: list[bytes] = []
        self.parts = MessageParts()
        self.is_over = False
        self.forget_at = math.inf

    def ended(self) -> None:
        """The kernel gave it up."""
        self.is_over = True
        if self.connection is not None:
            self.connection.abandon()
            self._wake(self.connection)


class Acceptor:
    """All handshakes that others began.

    Args:
        new_id: a connection id that is free.
        make_connection: called as soon as there are keys.
        wake: called for a connection whose handshake came to nothing.
    """

    def __init__(
        self,
        admission: Admission,
        new_id: Callable[[], int],
        make_connection: MakeConnection,
        wake: Callable[[Connection], None],
    ) -> None:
        self._admission = admission
        self._new_id = new_id
        self._make_connection = make_connection
        self._wake = wake
        self._by_sender: OrderedDict[tuple[str, int, int], Handshake] = OrderedDict()
        self._by_own_id: dict[int, Handshake] = {}
        self._partial: OrderedDict[tuple[str, int, int], MessageParts] = OrderedDict()
        self.refused = 0

    def __len__(self) -> int:
        return len(self._by_sender)

    # -- receiving -----------------------------------------------------------------------------------------------

    def receive(
        self, message: Message, packet_bytes: int, route: Route, door: SessionAcceptor, now: float
    ) -> list[Batch]:
        """A part of a handshake message; returns what to send.

        Raises:
            RemoteProtocolError: it is none that a dialer would send now, or does not verify.
        """
        if message.to:
            return self._receive_next(message, route, now)
        remote, sender = route.remote, message.sender
        if packet_bytes < min(FIRST_PACKET_BYTES, route.endpoint.max_datagram_bytes):
            raise RemoteProtocolError("a first packet is shorter than it must be")
        if message.version != VERSION:
            if self._admission.judge(remote, sender, b"", True, now) is Verdict.ASK_COOKIE:  # the budget of answers
                return [_one(route, encode_versions(sender))]
            return []
        if message.index or not sender:
            raise RemoteProtocolError("a first packet that is none")
        known = self._by_sender.get((remote.host, remote.port, sender))
        if known is not None:
            if known.connection is not None and known.connection.is_confirmed:
                return []
            if message.part == known.first[message.offset : message.offset + len(message.part)] and known.answer:
                return [Batch(route, len(known.answer[0]), known.answer, sum(map(len, known.answer)))]
            return []
        return self._receive_first(message, packet_bytes, route, door, now)

    def _receive_first(
        self, message: Message, packet_bytes: int, route: Route, door: SessionAcceptor, now: float
    ) -> list[Batch]:
        remote, sender = route.remote, message.sender
        key = (remote.host, remote.port, sender)
        partial = self._partial.get(key)
        if partial is None:
            wants_proof = door.is_busy or not message.is_whole
            verdict = self._admission.judge(remote, sender, message.cookie, wants_proof, now)
            if verdict is Verdict.IGNORE:
                return []
            if verdict is Verdict.ASK_COOKIE:
                return [self._cookie(route, sender, now)]
            is_proven = verdict is Verdict.ADMIT_PROVEN
        else:
            is_proven = True
        whole: bytes | None = message.part
        if not message.is_whole:
            if partial is None:
                partial = self._partial[key] = MessageParts()
                if len(self._partial) > MAX_PARTIAL:
                    self._partial.popitem(last=False)
            whole = partial.add(message)
            if whole is None:
                return []
            del self._partial[key]
        assert whole is not None
        handshake = Handshake(route, self._new_id(), sender, whole, is_proven, self._wake)
        opening = door.accept(remote, BINDING, handshake.ended)
        if opening is None:
            self.refused += 1
            return []
        handshake.opening = opening
        try:
            opening.receive_message(whole)
        except PeerkitError:
            opening.abandon("the first message does not verify")
            raise
        answer = self._answer(handshake, 1)
        if not is_proven and sum(map(len, answer)) > packet_bytes:
            opening.abandon("the answer is longer than the question, and the address is not proven")
            return [self._cookie(route, sender, now)]
        handshake.answer = answer
        handshake.forget_at = now + REMEMBER_S
        self._by_sender[key] = handshake
        self._by_own_id[handshake.own_id] = handshake
        self._keyed(handshake, now)
        while len(self._by_sender) > MAX_REMEMBERED:
            self._forget(next(iter(self._by_sender)))
        return [Batch(route, len(answer[0]), answer, sum(map(len, answer)))] if answer else []

    def _receive_next(self, message: Message, route: Route, now: float) -> list[Batch]:
        """XX's third message."""
        handshake = self._by_own_id.get(message.to)
        if handshake is None or handshake.opening is None or message.sender != handshake.peer_id:
            raise RemoteProtocolError("a handshake message of no handshake")
        if handshake.connection is not None or handshake.is_over or message.index != 2:
            return []
        whole = handshake.parts.add(message)
        if whole is not None:
            handshake.opening.receive_message(whole)
            handshake.route = route
            handshake.is_proven = True  # it knows the id that we told that address alone
            self._keyed(handshake, now)
        return []

    def _keyed(self, handshake: Handshake, now: float) -> None:
        opening = handshake.opening
        if opening is None or opening.keys is None:
            return
        handshake.connection = self._make_connection(
            opening, handshake.own_id, handshake.peer_id, handshake.route, handshake.is_proven, now
        )

    def _answer(self, handshake: Handshake, index: int) -> list[bytes]:
        assert handshake.opening is not None
        size = min(FIRST_PACKET_BYTES, handshake.route.endpoint.max_datagram_bytes)
        packets: list[bytes] = []
        for message in handshake.opening.messages_to_send():
            packets += encode_message(handshake.peer_id, handshake.own_id, index, message, b"", size, False)
        return packets

    def _cookie(self, route: Route, sender: int, now: float) -> Batch:
        return _one(route, encode_cookie(sender, self._admission.cookie(route.remote, sender, now)))

    # -- time ----------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        first = next(iter(self._by_sender.values()), None)
        return first.forget_at if first is not None else math.inf

    def on_timer(self, now: float) -> None:
        """Forget what is old; the oldest come first."""
        while self._by_sender:
            key, handshake = next(iter(self._by_sender.items()))
            if handshake.forget_at > now:
                return
            self._forget(key)

    def _forget(self, key: tuple[str, int, int]) -> None:
        handshake = self._by_sender.pop(key)
        self._by_own_id.pop(handshake.own_id, None)
        if handshake.opening is not None and not (handshake.connection and handshake.connection.is_confirmed):
            handshake.opening.abandon("the peer never came back")
            handshake.ended()


def _one(route: Route, packet: bytes) -> Batch:
    return Batch(route, len(packet), [packet], len(packet))
