"""Our side of a handshake that we begin.

    message 0 ──▶ ... ──▶ answer verifies: keys ──▶ connection; XX sends message 2 until a sealed packet comes back
       │ ▲                  │
       │ └─ cookie ◀────────┤ the other side wants proof of our address: message 0 again, with the cookie
       └─ after 0.5 s, 1 s, 2 s, 4 s again; the first time with a second handshake beside it that needs no key (XX)

Forged answers change nothing: the opening judges each on a copy of its state.  The deadline is the kernel's.
"""

import math
from collections.abc import Callable

from peerkit.datagram import DialAttempt, SessionOpening
from peerkit.errors import ConnectFailed, RemoteProtocolError

from .connection import Connection
from .handshake_packets import (
    BINDING,
    FIRST_PACKET_BYTES,
    VERSION,
    Cookie,
    Message,
    MessageParts,
    Versions,
    encode_message,
)
from .packet_sender import Batch
from .paths import Route

RETRY_S = 0.5  # guess: longer than nearly all round trips, so that few first messages are sent twice
MAX_RETRY_S = 4.0
MAX_REFUSALS = 2  # of our version, before we believe them
MAX_COOKIES = 3  # forged cookies cannot make us send without end
MakeConnection = Callable[[SessionOpening, int, int, Route, bool, float], Connection]


class Dialer:
    """One handshake.

    Args:
        own_id: by which the answer finds us.
        beside: begins the second handshake; called once, with the time.
        wake: called when the kernel has ended it.
    """

    def __init__(
        self,
        attempt: DialAttempt,
        route: Route,
        own_id: int,
        with_key: bool,
        make_connection: MakeConnection,
        beside: Callable[[float], None] | None,
        wake: Callable[["Dialer"], None],
        now: float,
    ) -> None:
        self.own_id = own_id
        self.route = route
        self.connection: Connection | None = None
        self._attempt = attempt
        self._make_connection = make_connection
        self._beside = beside
        self._wake = wake
        self._opening = attempt.open(BINDING, self._ended, with_key)
        self._index = 0
        self._to = 0
        self._message = b""
        self._cookie = b""
        self._cookies = 0
        self._parts = MessageParts()
        self._answer = b""  # the other side's message 1, once it was taken
        self._first = b""
        self._refusals = 0
        self._is_over = False
        self._sent_at: float | None = None  # of the message under way, unless it was sent more than once
        self._due_at = now
        self._retry_s = RETRY_S
        self._take_message()

    @property
    def is_over(self) -> bool:
        if self.connection is not None and (self.connection.is_over or self.connection.is_confirmed):
            return True
        return self._is_over

    def _ended(self) -> None:
        if self.connection is None:
            self._is_over = True
            self._wake(self)

    def _take_message(self) -> None:
        """Of the messages that are due the last is ours to repeat; there is never more than one."""
        for message in self._opening.messages_to_send():
            self._message = message

    # -- receiving -----------------------------------------------------------------------------------------------

    def receive(self, packet: Message | Versions | Cookie, now: float) -> None:
        """A packet that bears our id.  Raises `RemoteProtocolError` when it is none that the other side would send."""
        if self.is_over:
            return
        match packet:
            case Message():
                self._receive_message(packet, now)
            case Cookie(_, cookie):
                if self._index == 0 and cookie != self._cookie and self._cookies < MAX_COOKIES:
                    self._cookie = cookie
                    self._cookies += 1
                    self._due_at = now
            case Versions(_, versions):
                if VERSION in versions:
                    raise RemoteProtocolError("a peer refuses the version that it says it speaks")
                self._refusals += 1  # one may be forged: the true answer may still come

    def _receive_message(self, packet: Message, now: float) -> None:
        if packet.index != 1:
            return
        message = self._parts.add(packet)
        if message is None:
            return
        if self.connection is not None:
            if message == self._answer and packet.sender != self._to:
                # The id stands outside what the message proves, and one of the two was changed on the way.
                self._to = packet.sender
                self.connection.use_peer_id(self._to)
                self._due_at = now
            return
        self._opening.receive_message(message)
        self._answer, self._first, self._message = message, self._message, b""
        self._to = packet.sender
        self._take_message()
        if self._opening.keys is None:
            if self._opening.is_over:
                self._is_over = True
            return
        try:
            self.connection = self._make_connection(self._opening, self.own_id, self._to, self.route, True, now)
        except ConnectFailed:
            self._is_over = True  # another way to the peer was faster
            return
        if self._sent_at is not None:
            self.connection.heard_after(now - self._sent_at)
        self._index += 2
        self._retry_s = RETRY_S
        self._due_at = now if self._message else now + RETRY_S

    # -- sending -------------------------------------------------------------------------------------------------

    def batches_to_send(self, now: float) -> list[Batch]:
        if self.is_over or now < self._due_at:
            return []
        self._sent_at = now if self._retry_s == RETRY_S else None
        self._due_at = now + self._retry_s
        self._retry_s = min(2 * self._retry_s, MAX_RETRY_S)
        size = min(FIRST_PACKET_BYTES, self.route.endpoint.max_datagram_bytes)
        packets: list[bytes] = []
        if self._index == 0 or not self._message or self._sent_at is None:
            # Also while no packet of the connection came: the answer that we took may have borne a false id.
            first = self._first or self._message
            packets += encode_message(0, self.own_id, 0, first, self._cookie, size, True)
            if not self._cookie:
                del packets[1:]  # the rest of a long message follows when our address is proven
        if self._index and self._message:
            packets += encode_message(self._to, self.own_id, self._index, self._message, b"", size, True)
        return [Batch(self.route, size, packets, sum(map(len, packets)))]

    def next_timer(self) -> float:
        return math.inf if self.is_over else self._due_at

    def on_timer(self, now: float) -> None:
        """A repetition is due, if nothing has come."""
        if self.is_over or now < self._due_at:
            return
        if self._refusals >= MAX_REFUSALS and self._index == 0:
            self._is_over = True
            self._attempt.fail(f"the peer does not speak version {VERSION}")
            return
        if self._beside is not None and self._index == 0:
            beside, self._beside = self._beside, None
            beside(now)
