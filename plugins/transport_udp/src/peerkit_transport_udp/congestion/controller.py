"""What the connection machine asks of a congestion controller.

One controller lives per path.  It decides one thing, `window`: how many bytes may be in flight.  When they leave is
`pacing.py`, how long a round trip takes is `rtt.py`, what counts as lost is the loss detection that calls us.

All of it is sans-IO: bytes are bytes of UDP payload, times are seconds of the monotonic clock that the caller hands in.
The batch is the unit: one call per received acknowledgement, one per batch sent, never one per datagram.
"""

from typing import Protocol

from .rtt import RttEstimator


class CongestionController(Protocol):
    """Keeps the congestion window of one path.

    Attributes:
        name: as settings and `peerkit peers` spell it.
        window: bytes that may be in flight, ≥ 2 datagrams; a float, so that small steps add up.
        threshold: the slow-start threshold in bytes, infinite until the first congestion.
        is_slow_start: whether the window still grows by as much as is acknowledged; the pacer then leaves more room.
    """

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> float: ...

    @property
    def threshold(self) -> float: ...

    @property
    def is_slow_start(self) -> bool: ...

    def on_sent(self, sent_bytes: int, now: float) -> None:
        """A batch has left.

        Args:
            sent_bytes: what it adds to the bytes in flight.
        """
        ...

    def on_acked(self, acked_bytes: int, sent_at: float, rtt: RttEstimator, now: float, is_app_limited: bool) -> None:
        """An acknowledgement came; called after `rtt` was told its sample, and before `on_lost` of the same one.

        Args:
            acked_bytes: bytes in flight that it newly acknowledged, > 0.
            sent_at: when the newest of them was sent.
            is_app_limited: the sender had nothing (more) to send when the window still had room: RFC 9002 §7.8.
        """
        ...

    def on_lost(self, lost_bytes: int, sent_at: float, now: float) -> None:
        """Datagrams were declared lost, or the peer reported congestion (ECN-CE, then with 0 bytes).

        Not for lost path-MTU probes: they say nothing about congestion (RFC 9000 §14.4).

        Args:
            lost_bytes: what left the bytes in flight so, in this call.
            sent_at: when the newest of them was sent; one congestion event per round trip is counted by it.
        """
        ...

    def on_spurious_loss(self, lost_bytes: int, sent_at: float, now: float) -> None:
        """Datagrams that `on_lost` was told of have been acknowledged after all.

        Args:
            lost_bytes, sent_at: of those datagrams.
        """
        ...

    def on_persistent_congestion(self, now: float) -> None:
        """Everything sent over a long time was lost (RFC 9002 §7.6): begin again from the smallest window."""
        ...

    def on_new_path(self, now: float) -> None:
        """The peer's IP address changed, so nothing learned holds: begin as if new.  A new port alone is no reason."""
        ...

    def on_datagram_bytes(self, datagram_bytes: int) -> None:
        """Path-MTU discovery found another size; the window never falls below two datagrams of it."""
        ...


def initial_window(datagram_bytes: int) -> float:
    """Bytes of the first window.  Source: RFC 9002 §7.2."""
    return float(min(10 * datagram_bytes, max(14_720, 2 * datagram_bytes)))
