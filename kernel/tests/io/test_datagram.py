"""Real datagrams on loopback, on both loops, with and without what Linux offers for batches."""

import asyncio
import errno
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.tests.io.conftest import OnLoop
from peerkit._io.datagram import BatchEndpoint, open_datagrams
from peerkit._io.protocol_datagram import ProtocolEndpoint
from peerkit._io.segments import MAX_BYTES_PER_CALL, MAX_SEGMENTS_PER_CALL, calls_of, segments_of
from peerkit._io.system_listener import bind
from peerkit._io.system_platform import SystemClock
from peerkit.address import Address
from peerkit.errors import ConnectFailed, LimitExceeded, PluginConflictError
from peerkit.first_byte import FirstByteRegistry
from peerkit.transport import DatagramEndpoint, HopLimitedEndpoint


class Inbox:
    """Keeps what comes, cut into single datagrams."""

    def __init__(self, endpoint: DatagramEndpoint, first: int = 0, last: int = 255) -> None:
        self.segments: list[bytes] = []
        self.batches = 0
        self.locals: list[Address] = []
        self.remotes: list[Address] = []
        self._changed = asyncio.Event()
        endpoint.register(first, last, self._take)

    def _take(self, data: memoryview, segment_bytes: int, local: Address, remote: Address, now: float) -> None:
        assert now > 0
        self.batches += 1
        self.locals.append(local)
        self.remotes.append(remote)
        self.segments += [bytes(data[at : at + segment_bytes]) for at in range(0, len(data), segment_bytes)]
        self._changed.set()

    async def until(self, count: int) -> list[bytes]:
        while len(self.segments) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.segments


def _at(endpoint: DatagramEndpoint, host: str) -> Address:
    return Address("udp", host, endpoint.local.port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_batch_arrives_whole_and_from_where_it_was_sent(on_loop: OnLoop, host: str) -> None:
    async def main() -> None:
        a, b = await open_datagrams(host, 0, SystemClock()), await open_datagrams(host, 0, SystemClock())
        inbox = Inbox(b)
        sent = [bytes([number]) * 1_200 for number in range(99)] + [b"short"]
        assert a.send_batch(None, b.local, 1_200, sent) == 100
        assert await inbox.until(100) == sent
        assert set(inbox.remotes) == {a.local}
        assert set(inbox.locals) == {b.local}
        a.close()
        b.close()
        a.close()

    on_loop(main())


@pytest.mark.skipif(not hasattr(socket.socket, "recvmsg_into"), reason="this system has no recvmsg")
def test_many_small_datagrams_do_not_take_a_turn_each(on_loop: OnLoop) -> None:
    async def main() -> None:
        a, b = await open_datagrams("127.0.0.1", 0, SystemClock()), await open_datagrams("127.0.0.1", 0, SystemClock())
        inbox, turns = Inbox(b, 0, 200), list[int]()
        b.register(201, 255, lambda *_: None, lambda: turns.append(len(inbox.segments)))
        for i in range(200):
            assert a.send_batch(None, b.local, 20, [bytes([i]) * 20]) == 1
        assert await inbox.until(200)
        assert len(turns) < 50, turns
        a.close()
        b.close()

    on_loop(main())


@pytest.mark.skipif(not hasattr(socket.socket, "recvmsg_into"), reason="this system has no recvmsg")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_short_lived_datagram_leaves_the_others_as_they_were(on_loop: OnLoop, host: str) -> None:
    async def main() -> None:
        a, b = await open_datagrams(host, 0, SystemClock()), await open_datagrams(host, 0, SystemClock())
        assert isinstance(a, BatchEndpoint) and isinstance(a, HopLimitedEndpoint)
        inbox = Inbox(b)
        is_v6 = host == "::1"
        option = (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if is_v6 else (socket.IPPROTO_IP, socket.IP_TTL)
        usual = a._sock.getsockopt(*option)
        assert a.send_short(b.local, b"opener", 1) and await inbox.until(1) == [b"opener"], "there is no router here"
        assert a._sock.getsockopt(*option) == usual > 1
        a.close()
        assert not a.send_short(b.local, b"opener", 1)
        b.close()

    on_loop(main())


@pytest.mark.skipif(not hasattr(socket.socket, "recvmsg_into"), reason="this system has no recvmsg")
def test_with_gso_and_gro_a_batch_is_few_calls(on_loop: OnLoop) -> None:
    async def main() -> None:
        a, b = await open_datagrams("127.0.0.1", 0, SystemClock()), await open_datagrams("127.0.0.1", 0, SystemClock())
        assert isinstance(a, BatchEndpoint)
        assert isinstance(b, BatchEndpoint)
        if not (a.has_gso and b.has_gro):
            pytest.skip("this system has no UDP_SEGMENT or UDP_GRO")
        inbox = Inbox(b)
        a.send_batch(None, b.local, 1_400, [bytes(1_400)] * 46)
        await inbox.until(46)
        assert inbox.batches <= 4  # one, unless the system splits it
        a.close()
        b.close()

    on_loop(main())


def test_without_gso_and_gro_the_same_datagrams_arrive(on_loop: OnLoop) -> None:
    async def main() -> None:
        a, b = await open_datagrams("127.0.0.1", 0, SystemClock()), await open_datagrams("127.0.0.1", 0, SystemClock())
        assert isinstance(a, BatchEndpoint)
        a.has_gso = False
        inbox = Inbox(b)
        sent = [bytes([number]) * 500 for number in range(50)]
        assert a.send_batch(None, b.local, 500, [b"".join(sent[:10]), *sent[10:]]) == 50
        assert await inbox.until(50) == sent
        a.close()
        b.close()

    on_loop(main())


class RefusesGso(socket.socket):
    """A socket whose interface does not take batches, as some drivers say only when asked to send."""

    gso_calls = 0

    def sendmsg(self, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None) -> int:
        if any(kind == 103 for _, kind, _ in ancdata):
            RefusesGso.gso_calls += 1
            raise OSError(errno.EIO, "Input/output error")
        return super().sendmsg(buffers, ancdata, flags, address)


def test_a_batch_that_is_refused_is_sent_singly_and_gso_stays_off_for_that_path() -> None:
    async def main() -> None:
        plain = bind("127.0.0.1", 0, "udp", socket.SOCK_DGRAM)
        refusing = RefusesGso(plain.family, plain.type, plain.proto, plain.detach())
        refusing.setblocking(False)
        a = BatchEndpoint(asyncio.get_running_loop(), refusing, SystemClock())
        b = await open_datagrams("127.0.0.1", 0, SystemClock())
        if not a.has_gso:
            pytest.skip("this system has no UDP_SEGMENT")
        inbox = Inbox(b)
        for _ in range(3):
            assert a.send_batch(None, b.local, 100, [bytes(100)] * 5) == 5
        await inbox.until(15)
        assert RefusesGso.gso_calls == 1
        a.close()
        b.close()

    asyncio.run(main())


def test_a_wildcard_socket_knows_where_it_was_asked_and_answers_from_there(on_loop: OnLoop) -> None:
    async def main() -> None:
        a, b = await open_datagrams("127.0.0.1", 0, SystemClock()), await open_datagrams("0.0.0.0", 0, SystemClock())
        assert isinstance(b, BatchEndpoint)
        asked, answered = Inbox(b), Inbox(a)
        where = _at(b, "127.0.0.77")  # all of 127/8 is this machine on Linux
        if a.send_batch(None, where, 5, [b"hello"]) == 0:
            pytest.skip("127.0.0.77 is not an address of this machine")
        await asked.until(1)
        assert asked.locals == [where]
        b.send_batch(asked.locals[0], asked.remotes[0], 6, [b"answer"])
        await answered.until(1)
        assert answered.remotes == [where]
        a.close()
        b.close()

    on_loop(main())


@pytest.mark.parametrize(
    ("wildcard", "loopback", "gone"), [("0.0.0.0", "127.0.0.1", "192.0.2.77"), ("::", "::1", "2001:db8::77")]
)
def test_an_address_that_is_ours_no_more_stops_nothing(
    on_loop: OnLoop, wildcard: str, loopback: str, gone: str
) -> None:
    """The host moved to another network: what a session sends still leaves, in batches as before."""

    async def main() -> None:
        a, b = await open_datagrams(loopback, 0, SystemClock()), await open_datagrams(wildcard, 0, SystemClock())
        assert isinstance(b, BatchEndpoint)
        inbox = Inbox(a)
        assert b.send_batch(Address("udp", gone, b.local.port), a.local, 4, [b"onlytwos"]) == 2
        assert b.send_batch(Address("udp", gone, b.local.port), a.local, 6, [b"single"]) == 1
        await inbox.until(3)
        assert inbox.remotes == [_at(b, loopback)] * len(inbox.remotes)
        assert not b._without_gso
        a.close()
        b.close()

    on_loop(main())


def test_a_datagram_that_cannot_be_sent_is_dropped(on_loop: OnLoop) -> None:
    async def main() -> None:
        a = await open_datagrams("127.0.0.1", 0, SystemClock())
        nowhere = Address("udp", "192.0.2.1", 9)
        assert a.send_batch(None, a.local, 70_000, [bytes(70_000)]) == 0
        assert a.send_batch(None, a.local, 0, [b"x"]) == 0
        a.send_batch(None, nowhere, 4, [b"lost"])  # from loopback there is no way; must not raise
        a.close()
        assert a.send_batch(None, a.local, 1, [b"x"]) == 0

    on_loop(main())


def test_an_endpoint_may_be_closed_by_the_handler_that_it_calls(on_loop: OnLoop) -> None:
    async def main() -> None:
        a, b = await open_datagrams("127.0.0.1", 0, SystemClock()), await open_datagrams("127.0.0.1", 0, SystemClock())
        closed = asyncio.Event()

        def close(*_: object) -> None:
            b.close()
            closed.set()

        b.register(0, 255, close)
        for _ in range(5):
            a.send_batch(None, b.local, 1, [b"x"])
        await closed.wait()
        a.close()

    on_loop(main())


def test_further_sockets_have_ports_of_their_own_and_are_bounded(on_loop: OnLoop) -> None:
    async def main() -> None:
        a = await open_datagrams("127.0.0.1", 0, SystemClock())
        more: Sequence[DatagramEndpoint] = await a.open_more(5)
        assert len({endpoint.local.port for endpoint in [a, *more]}) == 6
        with pytest.raises(LimitExceeded):
            await a.open_more(10_000)
        with pytest.raises(ConnectFailed, match="in use"):
            await open_datagrams("127.0.0.1", a.local.port, SystemClock())
        for endpoint in [a, *more]:
            endpoint.close()

    on_loop(main())


class NoReaderLoop(asyncio.SelectorEventLoop):
    """A loop that lacks what Windows' default loop lacks, for callers from outside."""

    def add_reader(self, *args: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


def test_a_loop_without_add_reader_gets_the_same_from_the_adapter() -> None:
    async def main() -> None:
        a, b = await open_datagrams("127.0.0.1", 0, SystemClock()), await open_datagrams("127.0.0.1", 0, SystemClock())
        assert isinstance(a, ProtocolEndpoint)
        low, high = Inbox(b, 0, 9), Inbox(b, 10, 20)
        assert a.send_batch(None, b.local, 2, [b"\x01a", b"\x0bb", b"\x02"]) == 3
        assert await low.until(2) == [b"\x01a", b"\x02"]
        assert await high.until(1) == [b"\x0bb"]
        assert low.remotes[0] == a.local
        (more,) = await a.open_more(1)
        more.send_batch(None, b.local, 2, [b"\x03c"])
        await low.until(3)
        assert low.remotes[-1] == more.local
        for endpoint in (a, b, more):
            endpoint.close()
        assert a.send_batch(None, b.local, 1, [b"\x01"]) == 0
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=NoReaderLoop) as runner:
        runner.run(main())


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    segment_bytes=st.sampled_from([1, 7, 1_200, 40_000, 65_000]),
    tail=st.integers(0, 60_000),
)
def test_calls_and_segments_keep_every_byte_in_order(sizes: list[int], segment_bytes: int, tail: int) -> None:
    sizes = sizes if segment_bytes < 1_200 else [min(size, 20) for size in sizes[:6]]
    total = sum(sizes) * segment_bytes
    data = (bytes(range(251)) * (total // 251 + 1))[:total] + bytes(min(tail, segment_bytes - 1))
    buffers = [data[at : at + size] for at, size in _spans(sizes, segment_bytes, len(data))]
    calls = list(calls_of(buffers, segment_bytes))
    assert b"".join(bytes(part) for call in calls for part in call) == data
    for call in calls:
        size = sum(len(part) for part in call)
        assert size <= max(MAX_BYTES_PER_CALL, segment_bytes)
        assert -(-size // segment_bytes) <= MAX_SEGMENTS_PER_CALL
        assert call is calls[-1] or size % segment_bytes == 0
    segments = [bytes(segment) for segment in segments_of(buffers, segment_bytes)]
    assert segments == [data[at : at + segment_bytes] for at in range(0, len(data), segment_bytes)]


def _spans(sizes: list[int], segment_bytes: int, total: int) -> list[tuple[int, int]]:
    spans, at = [], 0
    for size in sizes:
        spans.append((at, size * segment_bytes))
        at += size * segment_bytes
    return [*spans, (at, total - at)]


@given(
    firsts=st.lists(st.integers(0, 255), min_size=1, max_size=60),
    size=st.integers(1, 5),
    last_size=st.integers(1, 5),
    ranges=st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), max_size=6),
)
def test_each_datagram_goes_to_the_owner_of_its_first_byte(
    firsts: list[int], size: int, last_size: int, ranges: list[tuple[int, int]]
) -> None:
    registry = FirstByteRegistry()
    owner_of: dict[int, int] = {}
    got: list[tuple[int, bytes]] = []

    def handler(owner: int) -> Any:
        def take(data: memoryview, segment_bytes: int, *_: object) -> None:
            got.extend((owner, bytes(data[at : at + segment_bytes])) for at in range(0, len(data), segment_bytes))

        return take

    for owner, (one, other) in enumerate(ranges):
        wanted = range(min(one, other), max(one, other) + 1)
        if any(byte in owner_of for byte in wanted):
            with pytest.raises(PluginConflictError):
                registry.register(wanted[0], wanted[-1], handler(owner))
        else:
            registry.register(wanted[0], wanted[-1], handler(owner))
            owner_of.update(dict.fromkeys(wanted, owner))
    segments = [bytes([first]) * size for first in firsts]
    segments[-1] = segments[-1][: min(last_size, size)]
    here = Address("udp", "127.0.0.1", 1)
    registry.dispatch(memoryview(b"".join(segments)), size, here, here, 0.0)
    assert got == [(owner_of[segment[0]], segment) for segment in segments if segment[0] in owner_of]
    assert registry.unclaimed == sum(first not in owner_of for first in firsts)
