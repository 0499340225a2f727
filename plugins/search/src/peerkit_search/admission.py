"""Who gets into a bounded index: waiting time against spam, and the stateless tickets that prove the waiting.

    w = E · (1 − c/C)^−P · (x(term) + x(publisher) + x(prefix) + G)        x(s) = max(0, share of s − its free share)

c postings are in an index of C.  The fuller the index and the more of it the newcomer's publisher, its network prefix
and its prefix within the term already hold, the longer it waits; a newcomer to a free index does not wait.  After
DISC-NG (https://ieeexplore.ieee.org/document/10629017; TopDisc in discv5), which counts the whole term and has no free
shares: its advertisements live for minutes and all wait in turn, while here who shares one folder must be found within
seconds, and keeps its place for a day.  So a flood that came first must also give way: `IndexStore` takes the newest
posting of the most crowded neighbourhood when a newcomer of a much emptier one would have to wait.

Nothing is kept for those who wait: a ticket says since when they do, under our MAC.  It counts only in a window after
the time it names, so that tickets cannot be hoarded.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass

UNIT_S = 900.0  # E; DISC-NG's advertisement lifetime
OCCUPANCY_POWER = 10  # P; DISC-NG
BASE = 1e-7  # G; DISC-NG
FREE_TERM_SHARE = 1 / 8  # guess: of one prefix under one word; all files of a folder may share a word
FREE_PUBLISHER_SHARE = 1 / 8  # guess: a person's whole folder
FREE_PREFIX_SHARE = 1 / 4  # guess: a household or a hosting provider's /24
MAX_WAIT_S = 3600.0  # who would wait longer is refused; the republication asks again
SHORTEST_WAIT_S = 1.0  # below, one is let in at once: not worth a round trip
WINDOW_S = 120.0  # a ticket counts so long after the time it names; DISC-NG: 10 s, ours come in batches
_TICKET = struct.Struct(">dd")
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of the index something holds, each 0..1.  `term` is what the newcomer's own neighbourhood holds under
    its term; `prefix` and `term` are 0 for local addresses."""

    occupancy: float
    term: float
    publisher: float
    prefix: float


def waiting_time(shares: Shares) -> float:
    """Seconds; `inf` when the index is full."""
    if shares.occupancy >= 1:
        return float("inf")
    excess = (
        max(0.0, shares.term - FREE_TERM_SHARE)
        + max(0.0, shares.publisher - FREE_PUBLISHER_SHARE)
        + max(0.0, shares.prefix - FREE_PREFIX_SHARE)
    )
    return UNIT_S * (1 - shares.occupancy) ** -OCCUPANCY_POWER * (excess + BASE)


class Tickets:
    """Makes and reads tickets.

    Args:
        secret: 32 random bytes, new at each start.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, subject: bytes, asked_at: float, ready_at: float) -> bytes:
        """For one posting of one publisher (`subject`), who first asked at `asked_at` and may return at `ready_at`."""
        times = _TICKET.pack(asked_at, ready_at)
        return times + self._mac(subject, times)

    def asked_at(self, ticket: bytes, subject: bytes, now: float) -> float:
        """Since when the bearer waits; `now` (not at all) for a ticket that is not ours, too early or too old."""
        times, mac = ticket[: _TICKET.size], ticket[_TICKET.size :]
        if len(ticket) != _TICKET.size + _MAC_BYTES or not hmac.compare_digest(mac, self._mac(subject, times)):
            return now
        asked_at, ready_at = _TICKET.unpack(times)
        return float(asked_at) if ready_at <= now <= ready_at + WINDOW_S else now

    def _mac(self, subject: bytes, times: bytes) -> bytes:
        return hashlib.blake2b(times + subject, digest_size=_MAC_BYTES, key=self._secret).digest()
