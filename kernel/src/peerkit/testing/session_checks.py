"""What a session must do on every transport, of streams and of datagrams, on real sockets and on the simulated network.

    @pytest.mark.parametrize("check", SESSION_CHECKS, ids=lambda check: check.__name__)
    def test_sessions_pass_the_check(check: SessionCheck) -> None:
        async def main() -> None:
            net = SimNetwork(loss=0.05)
            async with my_node(net, check_protocols()) as a, my_node(net, check_protocols()) as b:
                await check(SessionBed(a, b, b.addresses[0]))

        peerkit.testing.run(main())

A check returns, or raises `AssertionError` with the promise that was broken.  Each wants nodes that were just started.
What a stream transport promises below its sessions is in `transport_checks`.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from ..address import Address
from ..errors import EndpointClosed, LimitExceeded, LocalProtocolError, PeerkitError
from ..identity import Identity
from ..node import Node
from ..protocol import ProtocolSpec, Request
from ..session import Peer, Purpose, Session, Stream

DEADLINE_S = 900.0  # of one check; a lost wake-up shall not hang the suite
DIAL_S = 20.0
SLEEP_S = 1.0  # how long the slow reader reads nothing
MAX_UNREAD_BYTES = 4 * 1024 * 1024  # what a stream may take for a reader that reads nothing
ECHO, SLOW, RUDE, DATAGRAM = "check/echo", "check/slow", "check/rude", "check/datagram"


@dataclass(frozen=True, slots=True)
class SessionBed:
    """Attributes:
    dialer, listener: nodes that speak `check_protocols()` and know nobody.
    address: where `dialer` reaches `listener`, with its peer id.
    """

    dialer: Node
    listener: Node
    address: Address


SessionCheck = Callable[[SessionBed], Awaitable[None]]


async def _echo_request(request: Request) -> bytes:
    return request.payload


async def _echo(stream: Stream) -> None:
    while data := await stream.read():
        await stream.write(data)
    await stream.finish()


async def _read_late(stream: Stream) -> None:
    """Reads nothing for a while, then everything, and answers how much it was."""
    await asyncio.sleep(SLEEP_S)
    count = 0
    while data := await stream.read():
        count += len(data)
    await stream.write(b"%d" % count)
    await stream.finish()


async def _hang_up(stream: Stream) -> None:
    await stream.read(1)
    stream.reset(0x123)


def check_protocols() -> tuple[ProtocolSpec, ...]:
    """What the nodes of a bed speak; made anew for each node."""
    sizes: dict[Session, list[int]] = {}

    def take_datagram(session: Session, body: bytes) -> None:
        sizes.setdefault(session, []).append(len(body))

    def tell_sizes(request: Request) -> bytes:
        return " ".join(map(str, sizes.get(request.session, ()))).encode()

    return (
        ProtocolSpec(ECHO, "1.0.0", on_request=_echo_request, on_stream=_echo),
        ProtocolSpec(SLOW, "1.0.0", on_stream=_read_late),
        ProtocolSpec(RUDE, "1.0.0", on_stream=_hang_up),
        ProtocolSpec(DATAGRAM, "1.0.0", on_datagram=take_datagram, on_request=tell_sizes),
    )


async def both_ends_agree(bed: SessionBed) -> None:
    ours, theirs = await _sessions(bed)
    assert ours.peer_id == bed.listener.peer_id and theirs.peer_id == bed.dialer.peer_id
    assert ours.is_dialer and not theirs.is_dialer and ours.purpose is theirs.purpose is Purpose.MEMBER
    assert ours.transcript_hash == theirs.transcript_hash, "both ends must have the same transcript"
    assert ours.export(b"x") == theirs.export(b"x") != ours.export(b"y"), "only the two ends derive the same secrets"
    assert ours.transport == theirs.transport == bed.address.scheme, "both ends must name the transport alike"
    assert ours.remote.without_peer() == bed.address.without_peer(), "the dialer's remote must be what it dialled"
    assert ours.protocols == theirs.protocols
    for session in (ours, theirs):
        active = [path for path in session.paths if path.is_active]
        assert [path.remote for path in active] == [session.remote], "one path is active, the first one"
        assert session.paths[0].is_active


async def requests_are_answered(bed: SessionBed) -> None:
    peer = await _peer(bed)
    bodies = [_data(i, size) for i, size in enumerate((0, 1, 63, 1_200, 1_500, 20_000, 60_000))]
    answers = await asyncio.gather(*(peer.request(ECHO, body, 120) for body in bodies))
    assert list(answers) == bodies, "an answer was lost, changed or given to another request"
    (back,) = bed.listener.peers()
    assert await back.request(ECHO, b"the other way", 60) == b"the other way"


async def streams_arrive_in_order(bed: SessionBed) -> None:
    """Several at once, both ways, in writes of all sizes; they do not mix."""
    peer = await _peer(bed)
    rng = random.Random(1)

    async def one(seed: int) -> None:
        data, stream = _data(seed, 60_000 + 1_000 * seed), await peer.open_stream(ECHO)

        async def write() -> None:
            at = 0
            while at < len(data):
                size = rng.choice((1, 7, 1_400, 20_000))
                await stream.write(data[at : at + size])
                at += size
            await stream.finish()

        _, received = await asyncio.gather(write(), _read_all(stream))
        assert received == data, "a stream's bytes were lost, changed or reordered"

    await asyncio.gather(*(one(seed) for seed in range(4)))


async def a_direction_ends_by_itself(bed: SessionBed) -> None:
    peer = await _peer(bed)
    stream = await peer.open_stream(SLOW)
    await stream.write(b"abc")
    await stream.finish()
    await stream.finish()
    assert await _read_all(stream) == b"3", "after our end the other direction must go on"
    assert await stream.read() == b"", "at the end every read gives nothing"
    try:
        await stream.write(b"x")
    except (LocalProtocolError, EndpointClosed):
        pass
    else:
        raise AssertionError("nothing can be written after the end")


async def a_reader_that_reads_nothing_holds_the_writer(bed: SessionBed) -> None:
    peer = await _peer(bed)
    stream = await peer.open_stream(SLOW)
    piece, sent, began_at = bytes(65_536), 0, bed.dialer.clock.now()
    while sent < 2 * MAX_UNREAD_BYTES and bed.dialer.clock.now() - began_at < SLEEP_S / 2:
        try:
            async with asyncio.timeout(SLEEP_S / 2):
                await stream.write(piece)
        except TimeoutError:
            break
        sent += len(piece)
    assert sent <= MAX_UNREAD_BYTES, f"{sent} bytes were taken for a reader that reads nothing"
    stream.reset()
    assert await peer.request(ECHO, b"others go on", 60) == b"others go on", "one full stream stops the others"


async def a_slow_reader_gets_everything(bed: SessionBed) -> None:
    peer = await _peer(bed)
    stream = await peer.open_stream(SLOW)
    data = _data(1, 300_000)
    await stream.write(data)
    await stream.finish()
    assert await _read_all(stream) == b"300000", "of what a slow reader was sent bytes were lost"


async def a_reset_is_told(bed: SessionBed) -> None:
    peer = await _peer(bed)
    stream = await peer.open_stream(RUDE)
    await stream.write(b"x")
    closed = await _closed(_read_all(stream))
    assert closed.reason_code == 0x123, "the code of a reset must arrive"
    assert closed.by_peer, "a reset by the peer is the peer's"
    await _until(lambda: peer.session.stats.streams_open == 0, "the stream's end was not noticed")


async def a_cancelled_call_leaves_the_session_whole(bed: SessionBed) -> None:
    peer = await _peer(bed)
    for turns in range(12):
        call = asyncio.ensure_future(peer.request(ECHO, _data(turns, 30_000), 60))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
    assert await peer.request(ECHO, b"still here", 60) == b"still here"
    (back,) = bed.listener.peers()
    sessions = peer.session, back.session
    await _until(lambda: not any(s.stats.streams_open for s in sessions), "a cancelled request left its stream open")


async def datagrams_arrive_whole(bed: SessionBed) -> None:
    peer = await _peer(bed)
    largest = peer.session.max_datagram_bytes
    assert largest >= 900, f"datagrams of {largest} bytes are too short to be of use"
    wanted = {1, 500, largest}
    for _ in range(200):  # each may be lost
        for size in wanted:
            peer.session.send_datagram(DATAGRAM, bytes(size))
        got = set((await peer.request(DATAGRAM, b"", 60)).split())
        if got == {b"%d" % size for size in wanted}:
            return
    raise AssertionError(f"of {wanted} only datagrams of {got} bytes came")


async def a_datagram_that_is_too_long_is_refused(bed: SessionBed) -> None:
    peer = await _peer(bed)
    try:
        peer.session.send_datagram(DATAGRAM, bytes(peer.session.max_datagram_bytes + 1))
    except LimitExceeded:
        assert await peer.request(ECHO, b"x", 60) == b"x"
    else:
        raise AssertionError("a datagram above max_datagram_bytes must raise LimitExceeded")


async def a_close_is_told(bed: SessionBed) -> None:
    ours, theirs = await _sessions(bed)
    waiting = asyncio.ensure_future(ours.request(DATAGRAM, b"", 60))
    await asyncio.wait([waiting])
    stream = await ours.open_stream(SLOW)
    await theirs.close(0x107, "enough for today")
    await theirs.close()
    assert await ours.wait_closed() == "enough for today", "the reason of a close must arrive"
    assert not ours.is_open and not theirs.is_open, "a closed session says that it is open"
    closed = await _closed(stream.read())
    assert closed.reason_code == 0x107, "calls on a closed session must tell the code"
    await _until(lambda: not bed.dialer.peers() and not bed.listener.peers(), "the pools keep a closed session")


async def the_wrong_peer_is_refused(bed: SessionBed) -> None:
    stranger = replace(bed.address, peer_id=Identity(bytes(32)).peer_id)
    await _fails(bed, stranger, "a peer other than the one dialled must be refused")
    await _until(lambda: not bed.listener.peers(), "a refused dial left a peer behind")


async def nobody_there_is_told(bed: SessionBed) -> None:
    await _fails(bed, replace(bed.address, port=9), "a dial to nobody must fail")


async def a_cancelled_dial_leaves_nothing(bed: SessionBed) -> None:
    """Cancelled at many moments of a dial; then it must work at once."""
    for turns in (*range(10), 20, 40, 80):
        call = asyncio.ensure_future(bed.dialer.connect(bed.address, DIAL_S))
        for _ in range(turns):
            await asyncio.sleep(0)
        if call.cancel():
            await asyncio.wait([call])
    peer = await _peer(bed)
    assert await peer.request(ECHO, b"x", 60) == b"x"
    await asyncio.sleep(0.5)
    assert [p.id for p in bed.listener.peers()] == [bed.dialer.peer_id], "the listener must see one session"
    assert await (await _peer(bed)).request(ECHO, b"y", 60) == b"y"


async def _peer(bed: SessionBed) -> Peer:
    return await bed.dialer.connect(bed.address, DIAL_S)


async def _sessions(bed: SessionBed) -> tuple[Session, Session]:
    peer = await _peer(bed)
    await _until(lambda: bool(bed.listener.peers()), "the listener does not know of the session")
    return peer.session, bed.listener.peers()[0].session


async def _fails(bed: SessionBed, address: Address, promise: str) -> None:
    try:
        await bed.dialer.connect(address, 2.0)
    except PeerkitError:
        return
    raise AssertionError(promise)


async def _closed(call: Awaitable[object]) -> EndpointClosed:
    try:
        await call
    except EndpointClosed as exc:
        return exc
    raise AssertionError("a call on what is closed must raise EndpointClosed")


async def _read_all(stream: Stream) -> bytes:
    parts = []
    while data := await stream.read():
        parts.append(data)
    return b"".join(parts)


async def _until(condition: Callable[[], bool], broken: str) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(broken)


def _data(seed: int, count: int) -> bytes:
    return random.Random(seed).randbytes(count)


def _complete(check: SessionCheck) -> SessionCheck:
    async def run(bed: SessionBed) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                await check(bed)
        except TimeoutError as exc:
            raise AssertionError(f"the check does not end within {DEADLINE_S:g} s") from exc
        except PeerkitError as exc:
            raise AssertionError(f"what must work failed: {exc}") from exc

    run.__name__ = check.__name__
    return run


SESSION_CHECKS: tuple[SessionCheck, ...] = tuple(
    _complete(check)
    for check in (
        both_ends_agree,
        requests_are_answered,
        streams_arrive_in_order,
        a_direction_ends_by_itself,
        a_reader_that_reads_nothing_holds_the_writer,
        a_slow_reader_gets_everything,
        a_reset_is_told,
        a_cancelled_call_leaves_the_session_whole,
        datagrams_arrive_whole,
        a_datagram_that_is_too_long_is_refused,
        a_close_is_told,
        the_wrong_peer_is_refused,
        nobody_there_is_told,
        a_cancelled_dial_leaves_nothing,
    )
)
