"""What sessions are made of, when it fails: a handshake or a session ends and the plugin is named; the node goes on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from peerkit import Node
from peerkit._pool.slots import SlotClass
from peerkit.address import Address
from peerkit.errors import PeerUnreachable, PluginLoadError
from peerkit.event import PluginFailed
from peerkit.plugin import hookimpl
from peerkit.testing import SimNetwork, run
from peerkit.transport import StreamTransport
from tests.containment.misbehaving import GOOD, AnySpec, Context, Good, open_node, spec
from tests.containment.test_callbacks import ERROR, fail, fail_later, hang


class Wrapper:
    """Leaves the plaintext as it is until it is told to do wrong."""

    name, overhead = "bad", 0

    def __init__(self, ctx: Context) -> None:
        self.wrong: object = None

    def wrap(self, plaintext: Any) -> bytes:
        return bytes(plaintext)

    def unwrap(self, data: Any) -> bytes:
        return self.wrong(data) if callable(self.wrong) else bytes(data)

    @hookimpl
    def peerkit_register_wrappers(self) -> Sequence["Wrapper"]:
        return [self]


@asynccontextmanager
async def pair(bad: AnySpec, handshaking: int = 64) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes with the plugins `bad` and `good`."""
    net, plugins, slots = SimNetwork(), {"bad": bad, "good": spec(Good)}, {"handshaking": handshaking}
    async with open_node(net, plugins, slots=slots) as a, open_node(net, plugins, slots=slots) as b:
        yield a, b


def failures(node: Node) -> list[tuple[str, str, str]]:
    events = [emitted.event for emitted in node.events.recent()]
    return [(e.plugin, e.where, e.error) for e in events if isinstance(e, PluginFailed)]


@pytest.mark.parametrize(("wrong", "error"), [(fail, ERROR), (lambda _: 7, "it answered with int instead of bytes")])
def test_wrapper_that_fails_costs_the_session_and_is_named(wrong: object, error: str) -> None:
    made: list[Wrapper] = []

    def make(ctx: Context) -> Wrapper:
        made.append(Wrapper(ctx))
        return made[-1]

    async def main() -> None:
        async with pair(spec(make)) as (a, b):
            peer = await b.connect(a.addresses[0])
            assert await peer.request(GOOD.id, b"x") == b"x"
            made[0].wrong = wrong
            with pytest.raises(Exception, match="plugin bad failed in wrapper bad"):
                await peer.request(GOOD.id, b"x")
            assert failures(a) == [("bad", "wrapper bad", error)]
            made[0].wrong = None
            peer = await b.connect(a.addresses[0])
            assert await peer.request(GOOD.id, b"x") == b"x"

    run(main())


def test_handshake_that_fails_to_begin_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with pair(spec(Wrapper), handshaking=2) as (a, b):
            security = a.pool.context.security
            monkeypatch.setattr(security._security, "handshake", fail)  # type: ignore[attr-defined]
            for _ in range(3):  # more than there are places for handshakes
                with pytest.raises(PeerUnreachable):
                    async with b.pool.probe(a.addresses[0]):
                        pass
            assert a.pool.slots.used(SlotClass.HANDSHAKING) == 0
            assert ("secure_noise", "a handshake", ERROR) in failures(a)
            monkeypatch.undo()
            peer = await b.connect(a.addresses[0])
            assert await peer.request(GOOD.id, b"x") == b"x"

    run(main())


class Transport:
    """A transport of `test://` that does nothing right."""

    schemes, preference = ("test",), 1

    def __init__(self, listen: Any, dial: Any) -> None:
        self.listen = listen
        self.dial = dial


def transport(listen: Any, dial: Any) -> AnySpec:
    class Transports:
        def __init__(self, ctx: Context) -> None: ...

        @hookimpl
        def peerkit_register_transports(self) -> Sequence[StreamTransport]:
            return [Transport(listen, dial)]

    return spec(Transports)


def test_transport_that_fails_to_dial_is_named_and_other_addresses_are_tried() -> None:
    async def main() -> None:
        async with pair(transport(fail_later, fail_later)) as (a, b):
            nowhere = Address.parse("test://192.0.2.1:1")
            with pytest.raises(PeerUnreachable, match="plugin bad failed in dial of test"):
                await b.connect(nowhere)
            assert failures(b) == [("bad", "dial of test", ERROR)]
            peer = await b.connect(a.addresses[0])
            assert await peer.request(GOOD.id, b"x") == b"x"

    run(main())


@pytest.mark.parametrize(
    ("listen", "why"), [(fail_later, "plugin bad failed in listen of test"), (hang, "it took longer than 30 s")]
)
def test_transport_that_cannot_listen_stops_the_start_with_a_sentence(listen: Any, why: str) -> None:
    async def main() -> None:
        with pytest.raises(PluginLoadError, match=rf"node\.listen: cannot listen on test://192\.0\.2\.1:1: {why}"):
            async with open_node(SimNetwork(), {"bad": transport(listen, hang)}, listen=["test://192.0.2.1:1"]):
                pass

    run(main())
