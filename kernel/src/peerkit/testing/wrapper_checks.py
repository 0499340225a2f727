"""What every `PlaintextWrapper` must do.  Pure: no loop, no sockets.

    @pytest.mark.parametrize("check", WRAPPER_CHECKS, ids=lambda check: check.__name__)
    def test_wrapper_passes_the_check(check: WrapperCheck) -> None:
        check(MyWrapper)  # makes one node's

A check returns, or raises `AssertionError` with the promise that was broken.

One object serves all sessions of a node, and datagrams are lost, repeated and reordered: so a wrapper keeps nothing
from one call to the next that the other end would need.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import random
from collections.abc import Callable, Iterator

from ..errors import PeerkitError, RemoteProtocolError
from ..security import PlaintextWrapper
from ..transport import Buffer
from .promises import refuses
from .protection_checks import MAX_PLAINTEXT_BYTES

MIN_PLAINTEXT_BYTES = 1_000  # a datagram's packet holds as much; a wrapper that needs most of it leaves no room
BOMBS = (1 << 18, 1 << 24)

MakeWrapper = Callable[[], PlaintextWrapper]
WrapperCheck = Callable[[MakeWrapper], None]


def what_was_wrapped_unwraps(make: MakeWrapper) -> None:
    """At the other end, from every kind of buffer."""
    ours, theirs = make(), make()
    kinds: tuple[Callable[[bytes], Buffer], ...] = (bytes, bytearray, memoryview)
    for number, plaintext in enumerate(_plaintexts(ours)):
        kind = kinds[number % 3]
        assert theirs.unwrap(kind(ours.wrap(kind(plaintext)))) == plaintext, f"{len(plaintext)} bytes came back changed"


def its_overhead_is_true(make: MakeWrapper) -> None:
    wrapper = make()
    assert 0 <= wrapper.overhead < MIN_PLAINTEXT_BYTES, f"an overhead of {wrapper.overhead} bytes fills a datagram"
    for plaintext in _plaintexts(wrapper):
        added = len(wrapper.wrap(plaintext)) - len(plaintext)
        assert added <= wrapper.overhead, f"wrapping {len(plaintext)} bytes adds {added}, more than {wrapper.overhead}"


def each_call_stands_alone(make: MakeWrapper) -> None:
    """What is lost, comes twice or out of order does not matter to the others."""
    ours, theirs = make(), make()
    plaintexts = [random.Random(number).randbytes(100 + number) for number in range(8)]
    wrapped = [ours.wrap(plaintext) for plaintext in plaintexts]
    for number in (7, 0, 3, 3, 5, 0):
        got = _unwrapped(theirs, wrapped[number], "unwrapping out of order")
        assert got == plaintexts[number], "what was lost, repeated or reordered spoils the others"


def buffers_stay_the_callers(make: MakeWrapper) -> None:
    """The caller writes into them again as soon as the call has returned."""
    wrapper = make()
    plaintext = bytearray(b"plain text" * 20)
    wrapped = wrapper.wrap(memoryview(plaintext))
    assert plaintext == b"plain text" * 20, "wrapping changed the caller's buffer"
    kept, scratch = bytes(wrapped), bytearray(wrapped)
    plaintext[:] = bytes(200)
    assert wrapped == kept, "what was wrapped still stands in the caller's buffer"
    unwrapped = wrapper.unwrap(memoryview(scratch))
    assert scratch == kept, "unwrapping changed the caller's buffer"
    scratch[:] = bytes(len(scratch))
    assert unwrapped == b"plain text" * 20, "what was unwrapped still stands in the caller's buffer"


def what_it_did_not_wrap_is_refused_or_harmless(make: MakeWrapper) -> None:
    """A proven peer may still seal anything."""
    wrapper, rng = make(), random.Random(1)
    real = wrapper.wrap(b"plain text" * 20)
    strange = [b"", *(bytes([byte]) for byte in range(256)), *(rng.randbytes(size) for size in range(2, 300))]
    strange += [real[:length] for length in range(len(real))]
    strange += [real[:at] + bytes([real[at] ^ 1 << bit]) + real[at + 1 :] for at in range(len(real)) for bit in (0, 7)]
    for data in strange:
        _unwrapped(wrapper, data, "unwrapping what a stranger made")


def a_bomb_is_refused(make: MakeWrapper) -> None:
    """Nothing unwraps to more than a record may hold, however short it is."""
    wrapper = make()
    for size in BOMBS:
        try:
            wrapped = wrapper.wrap(bytes(size))
        except PeerkitError:  # it wraps no more than a record holds
            continue
        _unwrapped(wrapper, wrapped, f"unwrapping {len(wrapped)} bytes that hold {size}")


def both_ends_name_it_alike(make: MakeWrapper) -> None:
    """Each Hello lists the names, and sessions begin only between nodes that list the same."""
    name = make().name
    assert name and name == make().name, "the name must be the same on every node"
    assert name.isascii() and name.isprintable() and len(name) <= 64, f"{name!r} is no name for a Hello"


WRAPPER_CHECKS: tuple[WrapperCheck, ...] = (
    what_was_wrapped_unwraps,
    its_overhead_is_true,
    each_call_stands_alone,
    buffers_stay_the_callers,
    what_it_did_not_wrap_is_refused_or_harmless,
    a_bomb_is_refused,
    both_ends_name_it_alike,
)


def _plaintexts(wrapper: PlaintextWrapper) -> Iterator[bytes]:
    """Of many sizes up to the largest that a record with this wrapper holds; half of them shrink well."""
    for size in (1, 2, 63, 64, 65, 999, 1_200, 16_384, 65_537, MAX_PLAINTEXT_BYTES - wrapper.overhead):
        yield bytes(size)
        yield random.Random(size).randbytes(size)


def _unwrapped(wrapper: PlaintextWrapper, data: bytes, what: str) -> bytes | None:
    """What `data` unwraps to, within the bound of a record; `None` when it was refused."""
    got: list[bytes] = []
    if refuses(lambda: got.append(wrapper.unwrap(data)), RemoteProtocolError, what):
        return None
    size = len(got[0])
    assert size <= MAX_PLAINTEXT_BYTES, f"{what} gave {size} bytes, where a record holds {MAX_PLAINTEXT_BYTES}"
    return got[0]
