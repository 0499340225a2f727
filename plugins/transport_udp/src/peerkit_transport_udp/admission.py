"""Whether a stranger's first packet is looked at: cookies and budgets.

A first packet that verifies costs two operations on curve X25519 (31 µs each), a forged one the first of them.  So only
a few strangers a second are believed at their word; when more come, each is asked to come again with a cookie, which
proves that it receives at its address and costs us no memory.  Then the address counts against its own budgets.

    first packet ──without cookie, bucket not empty────────────────▶ admitted (address not proven)
        ├─without cookie, bucket empty──▶ cookie (≤ 10,000 a second, then silence)
        └─with cookie──▶ ≤ 1 a second per address, ≤ 20 per public IP, ≤ 200 in all ──▶ admitted (address proven)

cookie = issued u32 (seconds of our clock) ‖ HMAC-SHA-256(key, issued ‖ host ‖ port ‖ from)[:16]; good for 30 s.
Source: RFC 9000 §8.1.2; the budgets are PROTOCOL's.
"""

import hashlib
import hmac
import struct
from collections import OrderedDict
from enum import Enum, auto

from peerkit.address import Address
from peerkit.limits import TokenBucket

COOKIE_LIFE_S = 30
UNPROVEN_PER_S, UNPROVEN_BURST = 50.0, 50.0  # with the XX handshakes ≤ 100 X25519 a second for forged packets
# 10 µs each: a tenth of a core.  Of 50,000 first packets a second each fifth gets one (`tests/test_flood.py`).
COOKIES_PER_S = 10_000.0
PROVEN_PER_S = 200.0
PER_ADDRESS_PER_S, PER_ADDRESS_BURST = 1.0, 4.0  # a dial may try IK, then XX, within a second
PER_HOST_PER_S, PER_HOST_BURST = 20.0, 40.0
MAX_TRACKED = 4_096  # hosts and addresses whose budgets are remembered; a proven address costs its owner an address
_HEAD = struct.Struct("!I")
_MAC_BYTES = 16
COOKIE_BYTES = _HEAD.size + _MAC_BYTES


class Verdict(Enum):
    ADMIT = auto()  # its address is not proven
    ADMIT_PROVEN = auto()
    ASK_COOKIE = auto()
    IGNORE = auto()


class Admission:
    """Args:
        key: 32 secret bytes; cookies of another key are worth nothing.

    Attributes:
        ignored, cookies: first packets dropped, and answered by a cookie.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._unproven = TokenBucket(UNPROVEN_PER_S, UNPROVEN_BURST)
        self._proven = TokenBucket(PROVEN_PER_S, PROVEN_PER_S)
        self._cookies = TokenBucket(COOKIES_PER_S, COOKIES_PER_S / 4)
        self._addresses: OrderedDict[tuple[str, int], TokenBucket] = OrderedDict()
        self._hosts: OrderedDict[tuple[str, int], TokenBucket] = OrderedDict()
        self.ignored = 0
        self.cookies = 0

    def judge(self, remote: Address, sender: int, cookie: bytes, wants_proof: bool, now: float) -> Verdict:
        """Args:
        wants_proof: whether no stranger is believed at his word (the node is busy, or much would be sent).
        """
        if cookie and self._is_good(cookie, remote, sender, now):
            if self._has_budget(remote, now):
                return Verdict.ADMIT_PROVEN
            self.ignored += 1
            return Verdict.IGNORE
        if not wants_proof and self._unproven.try_take(1.0, now):
            return Verdict.ADMIT
        if self._cookies.try_take(1.0, now):
            self.cookies += 1
            return Verdict.ASK_COOKIE
        self.ignored += 1
        return Verdict.IGNORE

    def cookie(self, remote: Address, sender: int, now: float) -> bytes:
        issued = int(now) & 0xFFFF_FFFF
        return _HEAD.pack(issued) + self._mac(issued, remote, sender)

    def _is_good(self, cookie: bytes, remote: Address, sender: int, now: float) -> bool:
        if len(cookie) != COOKIE_BYTES:
            return False
        (issued,) = _HEAD.unpack_from(cookie)
        age_s = (int(now) - issued) & 0xFFFF_FFFF
        return age_s <= COOKIE_LIFE_S and hmac.compare_digest(cookie[4:], self._mac(issued, remote, sender))

    def _mac(self, issued: int, remote: Address, sender: int) -> bytes:
        text = struct.pack("!IHI", issued, remote.port, sender) + remote.host.encode("ascii", "replace")
        return hmac.digest(self._key, text, hashlib.sha256)[:_MAC_BYTES]

    def _has_budget(self, remote: Address, now: float) -> bool:
        if remote.is_local:
            return True  # our own network is not a crowd of strangers
        address = _bucket(self._addresses, (remote.host, remote.port), PER_ADDRESS_PER_S, PER_ADDRESS_BURST)
        host = _bucket(self._hosts, (remote.host, 0), PER_HOST_PER_S, PER_HOST_BURST)
        return address.try_take(1.0, now) and host.try_take(1.0, now) and self._proven.try_take(1.0, now)


def _bucket(
    table: OrderedDict[tuple[str, int], TokenBucket], key: tuple[str, int], rate: float, burst: float
) -> TokenBucket:
    bucket = table.get(key)
    if bucket is None:
        bucket = table[key] = TokenBucket(rate, burst)
        if len(table) > MAX_TRACKED:
            table.popitem(last=False)
    table.move_to_end(key)
    return bucket
