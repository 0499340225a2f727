"""Each check for sessions fails on nodes whose sessions break just its promise."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import cast

import pytest

from peerkit import Address, Node, Peer, Session, Stream
from peerkit.errors import EndpointClosed, PeerkitError
from peerkit.testing import SimNetwork
from peerkit.testing.session_checks import SESSION_CHECKS, SessionBed, SessionCheck, check_protocols

Changes = Mapping[str, object]


class Changed:
    """An object with some attributes of its own and the rest of another's."""

    def __init__(self, real: object, changes: Changes) -> None:
        self._real, self._changes = real, changes

    def __getattr__(self, name: str) -> object:
        return self._changes[name] if name in self._changes else getattr(self._real, name)


def node_with(
    node: Node,
    peer: Callable[[Peer], Changes] = lambda peer: {},
    session: Callable[[Session], Changes] = lambda session: {},
    stream: Callable[[Stream], Changes] = lambda stream: {},
) -> Node:
    """The node, with changes in what its dials lead to."""

    async def connect(address: Address, timeout_s: float) -> Peer:
        real = await node.connect(address, timeout_s)

        async def open_stream(protocol: str) -> object:
            opened = await real.open_stream(protocol)
            return Changed(opened, stream(opened))

        changes = {"open_stream": open_stream, "session": Changed(real.session, session(real.session)), **peer(real)}
        return cast(Peer, Changed(real, changes))

    return cast(Node, Changed(node, {"connect": connect}))


def dials_with(node: Node, connect: Callable[[Address, float], Awaitable[object]]) -> Node:
    return cast(Node, Changed(node, {"connect": connect}))


def another_transcript(bed: SessionBed) -> SessionBed:
    return replace(bed, dialer=node_with(bed.dialer, session=lambda _: {"transcript_hash": b"x"}))


def changed_answers(bed: SessionBed) -> SessionBed:
    def change(peer: Peer) -> Changes:
        async def request(protocol: str, payload: bytes, timeout_s: float) -> bytes:
            return (await peer.request(protocol, payload, timeout_s))[::-1]

        return {"request": request}

    return replace(bed, dialer=node_with(bed.dialer, peer=change))


def lost_bytes(bed: SessionBed) -> SessionBed:
    def change(stream: Stream) -> Changes:
        async def read() -> bytes:
            return (await stream.read())[1:]

        return {"read": read}

    return replace(bed, dialer=node_with(bed.dialer, stream=change))


def no_end(bed: SessionBed) -> SessionBed:
    def change(stream: Stream) -> Changes:
        ended: list[bool] = []

        async def finish() -> None:
            ended.append(True)
            await stream.finish()

        async def write(data: bytes) -> None:
            if not ended:
                await stream.write(data)

        return {"finish": finish, "write": write}

    return replace(bed, dialer=node_with(bed.dialer, stream=change))


def takes_everything(bed: SessionBed) -> SessionBed:
    def change(stream: Stream) -> Changes:
        async def write(data: bytes) -> None:
            """Kept, to be sent some day."""

        return {"write": write}

    return replace(bed, dialer=node_with(bed.dialer, stream=change))


def cut_writes(bed: SessionBed) -> SessionBed:
    def change(stream: Stream) -> Changes:
        async def write(data: bytes) -> None:
            await stream.write(data[:100_000])

        return {"write": write}

    return replace(bed, dialer=node_with(bed.dialer, stream=change))


def no_reset_code(bed: SessionBed) -> SessionBed:
    def change(stream: Stream) -> Changes:
        async def read() -> bytes:
            try:
                return await stream.read()
            except EndpointClosed as exc:
                raise EndpointClosed("stream", exc.reason, 0, exc.by_peer) from None

        return {"read": read}

    return replace(bed, dialer=node_with(bed.dialer, stream=change))


def open_ends(bed: SessionBed) -> SessionBed:
    def change(peer: Peer) -> Changes:
        async def request(protocol: str, payload: bytes, timeout_s: float) -> bytes:
            try:
                return await peer.request(protocol, payload, timeout_s)
            except asyncio.CancelledError:
                await peer.open_stream(protocol)
                raise

        return {"request": request}

    return replace(bed, dialer=node_with(bed.dialer, peer=change))


def cut_datagrams(bed: SessionBed) -> SessionBed:
    def change(session: Session) -> Changes:
        return {"send_datagram": lambda protocol, body: session.send_datagram(protocol, body[:400])}

    return replace(bed, dialer=node_with(bed.dialer, session=change))


def silent_datagrams(bed: SessionBed) -> SessionBed:
    return replace(bed, dialer=node_with(bed.dialer, session=lambda _: {"send_datagram": lambda *_: None}))


def no_reason(bed: SessionBed) -> SessionBed:
    def change(session: Session) -> Changes:
        async def wait_closed() -> str:
            await session.wait_closed()
            return ""

        return {"wait_closed": wait_closed}

    return replace(bed, dialer=node_with(bed.dialer, session=change))


def takes_anybody(bed: SessionBed) -> SessionBed:
    async def connect(address: Address, timeout_s: float) -> Peer:
        return await bed.dialer.connect(address.without_peer(), timeout_s)

    return replace(bed, dialer=dials_with(bed.dialer, connect))


def always_connects(bed: SessionBed) -> SessionBed:
    async def connect(address: Address, timeout_s: float) -> object:
        try:
            return await bed.dialer.connect(address, timeout_s)
        except PeerkitError:
            return None

    return replace(bed, dialer=dials_with(bed.dialer, connect))


def counts_twice(bed: SessionBed) -> SessionBed:
    listener = Changed(bed.listener, {"peers": lambda: bed.listener.peers() * 2})
    return replace(bed, listener=cast(Node, listener))


SABOTEURS: dict[str, tuple[Callable[[SessionBed], SessionBed], str]] = {
    "both_ends_agree": (another_transcript, "both ends must have the same transcript"),
    "requests_are_answered": (changed_answers, "an answer was lost, changed or given to another request"),
    "streams_arrive_in_order": (lost_bytes, "a stream's bytes were lost, changed or reordered"),
    "a_direction_ends_by_itself": (no_end, "nothing can be written after the end"),
    "a_reader_that_reads_nothing_holds_the_writer": (takes_everything, r"\d+ bytes were taken for a reader"),
    "a_slow_reader_gets_everything": (cut_writes, "of what a slow reader was sent bytes were lost"),
    "a_reset_is_told": (no_reset_code, "the code of a reset must arrive"),
    "a_cancelled_call_leaves_the_session_whole": (open_ends, "a cancelled request left its stream open"),
    "datagrams_arrive_whole": (cut_datagrams, "only datagrams of"),
    "a_datagram_that_is_too_long_is_refused": (silent_datagrams, "must raise LimitExceeded"),
    "a_close_is_told": (no_reason, "the reason of a close must arrive"),
    "the_wrong_peer_is_refused": (takes_anybody, "a peer other than the one dialled must be refused"),
    "nobody_there_is_told": (always_connects, "a dial to nobody must fail"),
    "a_cancelled_dial_leaves_nothing": (counts_twice, "the listener must see one session"),
}


@pytest.mark.parametrize("check", SESSION_CHECKS, ids=lambda check: check.__name__)
async def test_the_check_sees_the_broken_session(net: SimNetwork, check: SessionCheck) -> None:
    breaks, sentence = SABOTEURS[check.__name__]
    async with open_node(net) as a, open_node(net) as b:
        with pytest.raises(AssertionError, match=sentence):
            await check(breaks(SessionBed(a, b, b.addresses[0])))


def open_node(net: SimNetwork) -> AbstractAsyncContextManager[Node]:
    platform = net.platform()
    node = {"listen": [f"tcp://{platform.ip}:0"], "network": "test", "enable": ["secure_noise", "transport_tcp"]}
    return Node.open({"node": node}, protocols=check_protocols(), platform=platform)


def test_no_saboteur_is_without_its_check() -> None:
    assert set(SABOTEURS) == {check.__name__ for check in SESSION_CHECKS}
