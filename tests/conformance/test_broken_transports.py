"""A stream transport passes the checks; each check fails on one that breaks just its promise."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from peerkit.address import Address
from peerkit.errors import ConnectFailed
from peerkit.network import Network
from peerkit.testing import SimNetwork
from peerkit.testing.stream_end import StreamEnd
from peerkit.testing.transport_checks import STREAM_TRANSPORT_CHECKS, StreamTransportBed, StreamTransportCheck
from peerkit.transport import Buffer, Listener, Pipe, PipeAccept, PipeHandler


class PlainWay:
    """A `Pipe` on the network's; each saboteur changes one thing."""

    def __init__(self, real: Pipe) -> None:
        self.real = real
        self.local, self.remote, self.binding = real.local, real.remote, real.binding

    def write(self, buffers: Sequence[Buffer]) -> None:
        self.real.write(buffers)

    def pause_reading(self) -> None:
        self.real.pause_reading()

    def resume_reading(self) -> None:
        self.real.resume_reading()

    def close(self) -> None:
        self.real.close()

    def abort(self) -> None:
        self.real.abort()


class PlainEnd:
    """The check's `PipeHandler`, as the network sees it."""

    def __init__(self, real: PipeHandler) -> None:
        self.real = real

    def get_buffer(self, size_hint: int) -> bytearray | memoryview:
        return self.real.get_buffer(size_hint)

    def buffer_updated(self, nbytes: int) -> None:
        self.real.buffer_updated(nbytes)

    def pause_writing(self) -> None:
        self.real.pause_writing()

    def resume_writing(self) -> None:
        self.real.resume_writing()

    def connection_lost(self, reason: str) -> None:
        self.real.connection_lost(reason)


class Plain:
    """Moves bytes over the network that it gets."""

    schemes, preference = ("plain",), 40
    Way, End = PlainWay, PlainEnd

    def __init__(self, network: Network) -> None:
        self.network = network

    async def listen(self, address: Address, accept: PipeAccept) -> Listener:
        def take(pipe: Pipe) -> PipeHandler | None:
            handler = accept(self.Way(pipe))
            return self.End(handler) if handler is not None else self.refuse(pipe)

        return await self.network.listen_stream(address.host, address.port, "plain", take)

    def refuse(self, pipe: Pipe) -> PipeHandler | None:
        return None

    async def dial(self, address: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        made: list[Pipe] = []

        def make(pipe: Pipe) -> PipeHandler:
            made.append(self.Way(pipe))
            return self.End(make_handler(made[0]))

        await self.network.connect_stream(address, make)
        return made[0]


class Unbound:
    """A `Listener` that tells the port it was asked for."""

    def __init__(self, real: Listener) -> None:
        self.addresses = [Address(a.scheme, a.host, 0) for a in real.addresses]
        self.close = real.close


class TellsNoPort(Plain):
    async def listen(self, address: Address, accept: PipeAccept) -> Listener:
        return Unbound(await super().listen(address, accept))


class Reorders(Plain):
    class Way(PlainWay):
        def write(self, buffers: Sequence[Buffer]) -> None:
            super().write(buffers[::-1])


class BringsTooMuch(Plain):
    class End(PlainEnd):
        def get_buffer(self, size_hint: int) -> bytearray | memoryview:
            self.buffer = bytearray(65_536)
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            buffer = self.real.get_buffer(nbytes)
            buffer[:nbytes] = self.buffer[: min(nbytes, len(buffer))]
            self.real.buffer_updated(nbytes)


class CutsLongWrites(Plain):
    class Way(PlainWay):
        def write(self, buffers: Sequence[Buffer]) -> None:
            super().write([memoryview(buffer)[: 1 << 20] for buffer in buffers])


class ClosesAtOnce(Plain):
    class Way(PlainWay):
        def close(self) -> None:
            self.abort()


class NeverAborts(Plain):
    class Way(PlainWay):
        def abort(self) -> None:
            pass


class TakesEverything(Plain):
    class End(PlainEnd):
        def pause_writing(self) -> None:
            pass

        def resume_writing(self) -> None:
            pass


class NeverPauses(Plain):
    class Way(PlainWay):
        def pause_reading(self) -> None:
            pass


class SaysGoodbye(Plain):
    def refuse(self, pipe: Pipe) -> PipeHandler | None:
        pipe.write([b"go away"])
        pipe.close()
        return StreamEnd(pipe)


class TellsTheSystemsError(Plain):
    async def dial(self, address: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        try:
            return await super().dial(address, make_handler)
        except ConnectFailed as exc:
            raise ConnectionRefusedError(111, "Connection refused") from exc


class TakesAnotherPort(Plain):
    async def listen(self, address: Address, accept: PipeAccept) -> Listener:
        try:
            return await super().listen(address, accept)
        except ConnectFailed:
            return await super().listen(Address("plain", address.host, 0), accept)


class DialsOn(Plain):
    async def dial(self, address: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        return await asyncio.shield(asyncio.ensure_future(super().dial(address, make_handler)))


class EndsWithItsListener(Plain):
    async def listen(self, address: Address, accept: PipeAccept) -> Listener:
        pipes: list[Pipe] = []

        def take(pipe: Pipe) -> PipeHandler | None:
            pipes.append(pipe)
            return accept(pipe)

        listener = await super().listen(address, take)
        close = listener.close

        async def close_all() -> None:
            await close()
            for pipe in pipes:
                pipe.abort()

        both = Unbound(listener)
        both.addresses, both.close = list(listener.addresses), close_all
        return both


class MixesPipes(Plain):
    class Way(PlainWay):
        last: "list[PlainWay]" = []  # noqa: RUF012

        def __init__(self, real: Pipe) -> None:
            super().__init__(real)
            self.last[:] = [self]

        def write(self, buffers: Sequence[Buffer]) -> None:
            self.last[0].real.write(buffers)


SABOTEURS: dict[str, tuple[type[Plain], str]] = {
    "addresses_are_real": (TellsNoPort, "a listener must tell its real port"),
    "bytes_arrive_in_order": (Reorders, "bytes were lost, changed or reordered"),
    "small_buffers_are_respected": (BringsTooMuch, "bytes came into a buffer of 1000"),
    "one_large_write_arrives": (CutsLongWrites, "fewer than 4000000 bytes came"),
    "close_sends_what_is_queued": (ClosesAtOnce, "written before the close|an orderly end"),
    "abort_ends_both_sides": (NeverAborts, "connection_lost was not called"),
    "a_full_pipe_pauses_the_writer": (TakesEverything, "bytes were taken for a reader that reads nothing"),
    "a_paused_reader_reads_nothing": (NeverPauses, "a paused reader must be left alone"),
    "a_refused_pipe_ends_without_a_byte": (SaysGoodbye, "a refused pipe must end without a byte"),
    "nobody_there_is_told": (TellsTheSystemsError, "must fail with ConnectFailed, not ConnectionRefusedError"),
    "a_port_in_use_is_told": (TakesAnotherPort, "it must fail with ConnectFailed"),
    "a_cancelled_dial_leaves_nothing": (DialsOn, "a cancelled dial left its pipe open"),
    "pipes_outlive_their_listener": (EndsWithItsListener, "a pipe ended with its listener"),
    "many_pipes_do_not_mix": (MixesPipes, "what one pipe took came out of another"),
}
EVERY_CHECK = pytest.mark.parametrize("check", STREAM_TRANSPORT_CHECKS, ids=lambda check: check.__name__)


def bed_of(net: SimNetwork, kind: type[Plain]) -> StreamTransportBed:
    a, b = (kind(net.platform().network) for _ in range(2))
    return StreamTransportBed(a, b, Address("plain", net.hosts[1].ip, 0))


@EVERY_CHECK
async def test_a_plain_transport_passes_the_check(net: SimNetwork, check: StreamTransportCheck) -> None:
    await check(bed_of(net, Plain))


@EVERY_CHECK
async def test_the_check_sees_the_broken_transport(net: SimNetwork, check: StreamTransportCheck) -> None:
    broken, sentence = SABOTEURS[check.__name__]
    with pytest.raises(AssertionError, match=sentence):
        await check(bed_of(net, broken))


def test_no_saboteur_is_without_its_check() -> None:
    assert set(SABOTEURS) == {check.__name__ for check in STREAM_TRANSPORT_CHECKS}
