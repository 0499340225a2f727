"""What every stream transport must do: checks for real sockets and, under virtual time, for the simulated network.

    @pytest.mark.parametrize("check", STREAM_TRANSPORT_CHECKS, ids=lambda check: check.__name__)
    def test_transport_passes_the_check(check: StreamTransportCheck) -> None:
        async def main() -> None:
            net = SimNetwork()
            a, b = (MyTransport(FakePluginContext(MySettings(), net.platform())) for _ in range(2))
            await check(StreamTransportBed(a, b, Address("my", net.hosts[1].ip, 0)))

        peerkit.testing.run(main())

A check returns, or raises `AssertionError` with the promise that was broken.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..address import Address
from ..errors import ConnectFailed
from ..transport import Buffer, Listener, Pipe, PipeAccept, PipeHandler, StreamTransport
from .stream_end import Acceptor, StreamEnd

DEADLINE_S = 150.0  # of one check; a lost wake-up shall not hang the suite
MAX_BUFFERED_BYTES = 64 * 1024 * 1024  # what a pipe may take before it says pause, the system's buffers included


@dataclass(frozen=True, slots=True)
class StreamTransportBed:
    """Attributes:
    dialer, listener: the transports of two nodes; may be one object.
    address: where `listener` can listen, and `dialer` reaches it; port 0.
    """

    dialer: StreamTransport
    listener: StreamTransport
    address: Address


StreamTransportCheck = Callable[[StreamTransportBed], Awaitable[None]]


async def dial(transport: StreamTransport, address: Address, buffer_bytes: int = 65_536) -> StreamEnd:
    """Our end of a new pipe."""
    made: list[StreamEnd] = []
    pipe = await transport.dial(address, partial(_keep, made, buffer_bytes))
    assert [end.pipe for end in made] == [pipe], "dial must make one handler, for the pipe that it returns"
    return made[0]


async def connect(bed: StreamTransportBed, buffer_bytes: int = 65_536) -> tuple[StreamEnd, StreamEnd]:
    """Both ends of a pipe through a new listener, the dialer's first."""
    acceptor = Acceptor(buffer_bytes=buffer_bytes)
    listener = await bed.listener.listen(bed.address, acceptor)
    return await dial(bed.dialer, listener.addresses[0], buffer_bytes), await acceptor.end()


async def addresses_are_real(bed: StreamTransportBed) -> None:
    acceptor = Acceptor()
    listener = await bed.listener.listen(bed.address, acceptor)
    (address,) = listener.addresses
    assert address.port != 0, "a listener must tell its real port"
    assert address.host == bed.address.host, f"it listens on {address.host}, not on {bed.address.host}"
    assert address.scheme in bed.listener.schemes, f"{address.scheme} is none of the transport's schemes"
    ours, theirs = await dial(bed.dialer, address), await acceptor.end()
    assert ours.pipe.remote == address.without_peer(), "the dialer's remote must be the address that it dialled"
    assert theirs.pipe.local == address, "the acceptor's local must be the address that was dialled"
    assert ours.pipe.local == theirs.pipe.remote, "both ends must see the dialer's address alike"
    assert ours.pipe.binding == theirs.pipe.binding, "both ends must have the same binding"


async def bytes_arrive_in_order(bed: StreamTransportBed) -> None:
    """Both ways at once, in writes of all sizes, from all kinds of buffers."""
    ends = await connect(bed)
    rng = random.Random(1)
    for i, end in enumerate(ends):
        data = memoryview(_data(i, 1_000_000))
        at = 0
        while at < len(data):
            cuts = [at, *sorted(at + rng.choice([0, 1, 7, 1400, 65_536, 200_000]) for _ in range(3))]
            kinds: Sequence[Callable[[memoryview], Buffer]] = (bytes, bytearray, memoryview)
            end.pipe.write([rng.choice(kinds)(data[a:b]) for a, b in itertools.pairwise(cuts)])
            at = cuts[-1]
    for i, end in enumerate(ends):
        assert await end.until_received(1_000_000) == _data(1 - i, 1_000_000), "bytes were lost, changed or reordered"


async def small_buffers_are_respected(bed: StreamTransportBed) -> None:
    ours, theirs = await connect(bed, buffer_bytes=1_000)
    ours.pipe.write([_data(0, 100_000)])
    assert await theirs.until_received(100_000) == _data(0, 100_000), "bytes were lost, changed or reordered"


async def one_large_write_arrives(bed: StreamTransportBed) -> None:
    """Larger than every buffer on the way."""
    ours, theirs = await connect(bed)
    ours.pipe.write([_data(0, 4_000_000)])
    assert await theirs.until_received(4_000_000) == _data(0, 4_000_000), "bytes were lost, changed or reordered"


async def close_sends_what_is_queued(bed: StreamTransportBed) -> None:
    ours, theirs = await connect(bed)
    ours.pipe.write([_data(0, 3_000_000)])
    ours.pipe.close()
    ours.pipe.close()
    ours.pipe.write([b"after the close"])
    assert await theirs.until_lost() == "", "an orderly end has no reason"
    assert theirs.received == _data(0, 3_000_000), "what was written before the close, and only that, must arrive"
    assert await ours.until_lost() == "", "our own close is an orderly end"
    for pipe in (ours.pipe, theirs.pipe):  # nothing of this does anything any more
        pipe.write([b"x"])
        pipe.pause_reading()
        pipe.resume_reading()
        pipe.close()
        pipe.abort()


async def abort_ends_both_sides(bed: StreamTransportBed) -> None:
    """Though the reader has stopped reading and the writer's queue is full."""
    ours, theirs = await connect(bed)
    theirs.pipe.pause_reading()
    ours.pipe.write([_data(0, 8_000_000)])
    ours.pipe.abort()
    ours.pipe.abort()
    await ours.until_lost()
    ours.pipe.close()
    theirs.pipe.resume_reading()
    await theirs.until_lost()
    assert _data(0, 8_000_000).startswith(theirs.received), "what arrived before the abort was changed"


async def a_full_pipe_pauses_the_writer(bed: StreamTransportBed) -> None:
    ours, theirs = await connect(bed)
    theirs.pipe.pause_reading()
    sent = 0
    while not ours.is_paused:
        assert sent < MAX_BUFFERED_BYTES, f"{sent} bytes were taken for a reader that reads nothing"
        ours.pipe.write([_data(sent, 250_000)])
        sent += 250_000
        await asyncio.sleep(0)
    assert len(theirs.received) <= 1_000_000, "a paused reader must be left alone"
    theirs.pipe.resume_reading()
    await theirs.until_received(sent)
    wanted = b"".join(_data(at, 250_000) for at in range(0, sent, 250_000))
    assert theirs.received == wanted, "of what a full pipe took bytes were lost or changed"
    await ours.until(lambda: not ours.is_paused, "resume_writing was not called, though everything was sent")


async def a_paused_reader_reads_nothing(bed: StreamTransportBed) -> None:
    ours, theirs = await connect(bed)
    theirs.pipe.pause_reading()
    theirs.pipe.pause_reading()
    ours.pipe.write([b"held back"])
    theirs.pipe.write([b"the other direction goes on"])
    assert await ours.until_received(27) == b"the other direction goes on"
    await asyncio.sleep(0.2)
    assert theirs.received == b"", "a paused reader must be left alone"
    theirs.pipe.resume_reading()
    theirs.pipe.resume_reading()
    assert await theirs.until_received(9) == b"held back"


async def a_refused_pipe_ends_without_a_byte(bed: StreamTransportBed) -> None:
    listener = await bed.listener.listen(bed.address, Acceptor(refuses=True))
    try:
        end = await dial(bed.dialer, listener.addresses[0])
    except ConnectFailed:
        pass
    else:
        await end.until_lost()
        assert end.received == b"", "a refused pipe must end without a byte"


async def nobody_there_is_told(bed: StreamTransportBed) -> None:
    listener = await bed.listener.listen(bed.address, Acceptor())
    (address,) = listener.addresses
    await listener.close()
    await listener.close()
    failure = await _failure(dial(bed.dialer, address))
    assert failure.address == str(address.without_peer()), f"the error names {failure.address}, not {address}"
    assert failure.reason, "the error must say why"


async def a_port_in_use_is_told(bed: StreamTransportBed) -> None:
    listener = await bed.listener.listen(bed.address, Acceptor())
    (address,) = listener.addresses
    failure = await _failure(bed.listener.listen(replace(bed.address, port=address.port), Acceptor()))
    assert "in use" in failure.reason, f"the reason says {failure.reason!r}"


async def a_cancelled_dial_leaves_nothing(bed: StreamTransportBed) -> None:
    """Cancelled at each of the first turns of the loop that a dial takes; the other side is told each time."""
    acceptor = Acceptor()
    listener = await bed.listener.listen(bed.address, acceptor)
    (address,) = listener.addresses
    for turns in range(20):
        made: list[StreamEnd] = []
        task = asyncio.ensure_future(bed.dialer.dial(address, partial(_keep, made, 1_000)))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not task.cancel():
            (await task).abort()
            continue
        try:
            await task
        except asyncio.CancelledError:
            for end in made:  # the handler was attached already: it must be told
                await end.until_lost()
        else:
            raise AssertionError("a cancelled dial must raise CancelledError")
    (await dial(bed.dialer, address)).pipe.write([b"x"])
    index, is_there = 0, False
    while not is_there:
        end = await acceptor.end(index)
        await end.until(lambda e=end: e.received or e.lost is not None, "a cancelled dial left its pipe open")  # type: ignore[misc]
        is_there = end.received == b"x"
        index += 1


async def pipes_outlive_their_listener(bed: StreamTransportBed) -> None:
    acceptor = Acceptor()
    listener = await bed.listener.listen(bed.address, acceptor)
    ours, theirs = await dial(bed.dialer, listener.addresses[0]), await acceptor.end()
    await listener.close()
    ours.pipe.write([b"still here"])
    assert await theirs.until_received(10) == b"still here", "a pipe ended with its listener"
    theirs.pipe.write([b"so am I"])
    assert await ours.until_received(7) == b"so am I", "a pipe ended with its listener"
    ours.pipe.close()
    await theirs.until_lost()


async def many_pipes_do_not_mix(bed: StreamTransportBed) -> None:
    acceptor = Acceptor()
    listener = await bed.listener.listen(bed.address, acceptor)
    (address,) = listener.addresses
    ours = await asyncio.gather(*(dial(bed.dialer, address) for _ in range(32)))
    for i, end in enumerate(ours):
        end.pipe.write([_data(i, 10_000 + i)])
        end.pipe.close()
    await acceptor.end(31)
    for end in acceptor.ends:
        await end.until_lost()
    received = sorted(bytes(end.received) for end in acceptor.ends)
    assert received == sorted(_data(i, 10_000 + i) for i in range(32)), "what one pipe took came out of another"
    assert len({end.pipe.remote for end in acceptor.ends}) == 32, "two pipes have the same remote address"


class _Watched:
    """A transport that remembers what came of it, to close it in the end."""

    def __init__(self, transport: StreamTransport) -> None:
        self._transport = transport
        self.listeners: list[Listener] = []
        self.ends: list[StreamEnd] = []

    @property
    def schemes(self) -> Sequence[str]:
        return self._transport.schemes

    @property
    def preference(self) -> int:
        return self._transport.preference

    async def listen(self, address: Address, accept: PipeAccept) -> Listener:
        def watch(pipe: Pipe) -> PipeHandler | None:
            return self._keep(accept(pipe))

        self.listeners.append(await self._transport.listen(address, watch))
        return self.listeners[-1]

    async def dial(self, address: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        def watch(pipe: Pipe) -> PipeHandler:
            handler = make_handler(pipe)
            self._keep(handler)
            return handler

        return await self._transport.dial(address, watch)

    async def close(self) -> None:
        for listener in self.listeners:
            await listener.close()
        for end in self.ends:
            end.pipe.abort()

    def _keep(self, handler: PipeHandler | None) -> PipeHandler | None:
        if isinstance(handler, StreamEnd):
            self.ends.append(handler)
        return handler


def _complete(check: StreamTransportCheck) -> StreamTransportCheck:
    """The check under its deadline; then everything is aborted, and every end must be told."""

    async def run(bed: StreamTransportBed) -> None:
        dialer, listener = _Watched(bed.dialer), _Watched(bed.listener)
        try:
            async with asyncio.timeout(DEADLINE_S):
                try:
                    await check(StreamTransportBed(dialer, listener, bed.address))
                finally:
                    await dialer.close()
                    await listener.close()
                for end in (*dialer.ends, *listener.ends):
                    await end.until_lost()
        except TimeoutError as exc:
            raise AssertionError(f"the check does not end within {DEADLINE_S:g} s") from exc
        except ConnectFailed as exc:
            raise AssertionError(f"a way that is open was refused: {exc}") from exc

    run.__name__ = check.__name__
    return run


STREAM_TRANSPORT_CHECKS: tuple[StreamTransportCheck, ...] = tuple(
    _complete(check)
    for check in (
        addresses_are_real,
        bytes_arrive_in_order,
        small_buffers_are_respected,
        one_large_write_arrives,
        close_sends_what_is_queued,
        abort_ends_both_sides,
        a_full_pipe_pauses_the_writer,
        a_paused_reader_reads_nothing,
        a_refused_pipe_ends_without_a_byte,
        nobody_there_is_told,
        a_port_in_use_is_told,
        a_cancelled_dial_leaves_nothing,
        pipes_outlive_their_listener,
        many_pipes_do_not_mix,
    )
)


async def _failure(attempt: Awaitable[object]) -> ConnectFailed:
    try:
        await attempt
    except ConnectFailed as exc:
        return exc
    except OSError as exc:
        raise AssertionError(f"it must fail with ConnectFailed, not {exc!r}") from exc
    raise AssertionError("it must fail with ConnectFailed")


def _data(seed: int, count: int) -> bytes:
    return random.Random(seed).randbytes(count)


def _keep(made: list[StreamEnd], buffer_bytes: int, pipe: Pipe) -> StreamEnd:
    made.append(StreamEnd(pipe, buffer_bytes))
    return made[-1]
