"""What every `PacketProtection` must do, whoever carries its packets.  Pure: no loop, no sockets.

    @pytest.mark.parametrize("check", PROTECTION_CHECKS, ids=lambda check: check.__name__)
    def test_protection_passes_the_check(check: ProtectionCheck) -> None:
        check(MyProtection)  # makes the protection of a secret of 32 bytes

A check returns, or raises `AssertionError` with the promise that was broken.  `SECURITY_CHECKS` run these on what a
node would use: the plugin's own protection, or the kernel's where it brings none.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import random
from collections.abc import Callable, Iterator

from ..errors import VerificationFailed
from ..security import PacketProtection
from ..transport import Buffer
from .promises import refuses

MAX_PLAINTEXT_BYTES = 131_072  # of a record on a stream; a datagram has less
SIZES = (0, 1, 15, 16, 17, 1_200, 65_537, MAX_PLAINTEXT_BYTES)
HEADERS = (b"", b"head", b"a longer header of a datagram")
GENERATIONS = 4

MakeProtection = Callable[[bytes], PacketProtection]
ProtectionCheck = Callable[[MakeProtection], None]


def what_was_sealed_opens(make: MakeProtection) -> None:
    """At the other end, in any order, from every kind of buffer."""
    ours, theirs = make(_secret(0)), make(_secret(0))
    last = min(ours.max_packets, 1 << 62) - 1
    counters = sorted({0, min(1, last), last // 2, last}, reverse=True)
    kinds: tuple[Callable[[bytes], Buffer], ...] = (bytes, bytearray, memoryview)
    for counter in counters:
        for number, size in enumerate(SIZES):
            kind, header, plaintext = kinds[number % 3], HEADERS[number % 3], _data(size)
            sealed = ours.seal(counter, kind(header), kind(plaintext))
            opened = theirs.open(counter, kind(header), kind(sealed))
            assert opened == plaintext, f"of {size} bytes under counter {counter} something else was opened"
            assert isinstance(opened, bytes), "what was opened must be bytes of its own"


def its_overhead_is_true(make: MakeProtection) -> None:
    protection = make(_secret(0))
    assert protection.overhead >= 16, f"an overhead of {protection.overhead} bytes cannot hold a tag of 128 bits"
    for size in SIZES:
        added = len(protection.seal(0, b"head", bytes(size))) - size
        assert added == protection.overhead, f"sealing {size} bytes adds {added}, not the stated {protection.overhead}"


def a_changed_packet_is_refused(make: MakeProtection) -> None:
    """Every bit of it and of its header."""
    protection, header, plaintext = make(_secret(0)), b"head", b"plain text"
    sealed = protection.seal(5, header, plaintext)
    for forged in _flipped(sealed):
        _refused(protection, 5, header, forged, "a packet with a changed bit")
    for forged in _flipped(header):
        _refused(protection, 5, forged, sealed, "a packet under a header with a changed bit")


def a_cut_packet_is_refused(make: MakeProtection) -> None:
    """At every length, and one that is longer."""
    protection, header = make(_secret(0)), b"head"
    sealed = protection.seal(5, header, b"plain text")
    for length in range(len(sealed)):
        _refused(protection, 5, header, sealed[:length], f"a packet of {len(sealed)} bytes cut to {length}")
    for more in (sealed + b"\0", b"\0" + sealed, sealed + sealed):
        _refused(protection, 5, header, more, "a packet that became longer")
    _refused(protection, 5, header[:-1], header[-1:] + sealed, "a packet whose header lost a byte to its body")


def a_packet_in_anothers_place_is_refused(make: MakeProtection) -> None:
    """Replayed under another counter, swapped, reflected into the other direction, of another session."""
    protection, other = make(_secret(0)), make(_secret(1))
    packets = [protection.seal(counter, b"head", bytes(20)) for counter in range(8)]
    for counter in range(8):
        for place in (*range(counter), *range(counter + 1, 8), counter + (1 << 32)):
            _refused(protection, place, b"head", packets[counter], f"packet {counter} in the place of packet {place}")
        _refused(other, counter, b"head", packets[counter], "a packet sealed under another secret")


def no_two_packets_look_alike(make: MakeProtection) -> None:
    """The same plaintext under each counter, key and secret gives other bytes; none shows the plaintext."""
    plaintext, seen = _data(64), set[bytes]()
    for protection in (*_generations(make(_secret(0))), make(_secret(1))):
        for counter in range(8):
            sealed = protection.seal(counter, b"head", plaintext)
            assert not any(plaintext[at : at + 8] in sealed for at in range(0, 64, 8)), "a packet shows its plaintext"
            seen.add(sealed[:64])
    assert len(seen) == 8 * (GENERATIONS + 1), "two packets were sealed with the same key stream"


def both_ends_follow_to_the_next_key(make: MakeProtection) -> None:
    """And a packet of one key opens under no other."""
    ours, theirs = list(_generations(make(_secret(0)))), list(_generations(make(_secret(0))))
    for number, protection in enumerate(ours):
        assert protection.max_packets >= 1 and protection.overhead == ours[0].overhead
        sealed = protection.seal(0, b"head", b"plain text")
        for other, opener in enumerate(theirs):
            if other == number:
                assert opener.open(0, b"head", sealed) == b"plain text", "the two ends came to different next keys"
            else:
                _refused(opener, 0, b"head", sealed, f"a packet of key {number} under key {other}")


PROTECTION_CHECKS: tuple[ProtectionCheck, ...] = (
    what_was_sealed_opens,
    its_overhead_is_true,
    a_changed_packet_is_refused,
    a_cut_packet_is_refused,
    a_packet_in_anothers_place_is_refused,
    no_two_packets_look_alike,
    both_ends_follow_to_the_next_key,
)


def _refused(protection: PacketProtection, counter: int, header: Buffer, sealed: Buffer, what: str) -> None:
    was_refused = refuses(lambda: protection.open(counter, header, sealed), VerificationFailed, f"opening {what}")
    assert was_refused, f"{what} was opened"


def _generations(first: PacketProtection) -> Iterator[PacketProtection]:
    for _ in range(GENERATIONS):
        yield first
        first = first.next_generation()


def _flipped(data: bytes) -> Iterator[bytes]:
    """`data` with each of its bits changed."""
    for bit in range(8 * len(data)):
        forged = bytearray(data)
        forged[bit // 8] ^= 1 << bit % 8
        yield bytes(forged)


def _secret(number: int) -> bytes:
    return bytes([number]) * 32


def _data(size: int) -> bytes:
    return random.Random(size).randbytes(size)
