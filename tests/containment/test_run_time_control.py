"""Plugins enabled, disabled and restarted while the node runs and its peers are connected."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import Field

from peerkit import Node, ProtocolSpec
from peerkit.address import Address
from peerkit.capabilities import DATAGRAM_ENDPOINTS, OWN_ADDRESSES
from peerkit.discovery import Discovery
from peerkit.errors import ConfigError, EndpointClosed, PluginError, StorageError, Unavailable, UsageError
from peerkit.event import NodeStarted
from peerkit.operation import Model, Nothing, Operation
from peerkit.plugin import PluginContext, PluginSpec, Settings, hookimpl
from peerkit.routine import Routine
from peerkit.session import Peer
from peerkit.testing import SimNetwork, run
from peerkit.transport import StreamTransport
from peerkit.trust import Action, Question, TrustPolicy, Verdict
from tests.containment.misbehaving import GOOD, STORE, AnySpec, Bench, Context, Good, bench, open_node, spec

ASK, WAIT = "test.org/busy/ask", "test.org/busy/wait"
ELSEWHERE = Address("tcp", "198.51.100.7", 4433)


class BusySettings(Settings):
    word: str = "first"
    size: int = Field(1, ge=0, le=10)


class Text(Model):
    text: str


async def forever(*_: object) -> Any:
    await asyncio.get_running_loop().create_future()


class Busy:
    """Holds something of everything that a plugin can hold."""

    name = "busy"
    fails = ""  # the `word` with which it does not start

    def __init__(self, ctx: PluginContext[BusySettings]) -> None:
        self.ctx = ctx
        self.calls: list[str] = []
        self.is_closed = False
        self.subscription = ctx.subscribe(NodeStarted)
        ctx.provide(STORE, self)
        ctx.call_later(1e6, lambda: self.calls.append("late"))

    def get(self) -> str:
        return self.ctx.settings.word

    async def start(self) -> None:
        if self.fails and self.ctx.settings.word in self.fails:
            raise OSError(f"cannot start with {self.ctx.settings.word}")
        self.database = await self.ctx.open_database("things", ["CREATE TABLE things (name TEXT)"])
        self.ctx.require(OWN_ADDRESSES).advertise(self.ctx.name, [ELSEWHERE])

    async def run(self) -> None:
        self.ctx.spawn(forever(), "work of its own")
        await forever()

    async def close(self) -> None:
        self.is_closed = True

    async def find_peers(self, _count: int) -> Sequence[Address]:
        return ()

    def decide(self, question: Question) -> Verdict | None:
        return Verdict(False, "not that one") if question.action is Action.STORE else None

    async def turn(self) -> None:
        self.calls.append("turn")

    async def on_peer(self, _peer: Peer) -> None:
        self.calls.append("peer")
        await forever()

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        ask = ProtocolSpec(ASK, "1.0.0", on_request=lambda _: self.get().encode(), on_peer=self.on_peer)
        return [ask, ProtocolSpec(WAIT, "1.0.0", on_request=forever, on_stream=forever)]

    @hookimpl
    def peerkit_register_discoveries(self) -> Sequence[Discovery]:
        return [self]

    @hookimpl
    def peerkit_register_trust_policies(self) -> Sequence[TrustPolicy]:
        return [self]

    @hookimpl
    def peerkit_register_routines(self) -> Sequence[Routine]:
        return [Routine("busy.turn", self.turn, interval_s=1)]

    @hookimpl
    def peerkit_register_operations(self) -> Sequence[Operation[Nothing]]:
        return [Operation("busy", Nothing, Text, forever)]


BUSY: AnySpec = PluginSpec(BusySettings, Busy, provides=[STORE], requires=[OWN_ADDRESSES])


def stored(node: Node) -> bool:
    """Whether the gate lets somebody store something: `busy` denies it."""
    return node.gate.check(Question(Action.STORE, None, ELSEWHERE)).allow


def row(node: Node, name: str) -> tuple[bool, bool, str]:
    found = next(status for status in node.host.status() if status.name == name)
    return found.enabled, found.running, found.error


async def an_open_request(it: Bench) -> "asyncio.Task[bytes]":
    task = asyncio.get_running_loop().create_task(it.peer.request(WAIT, b"?"))
    await asyncio.sleep(1)
    return task


def test_what_a_disabled_plugin_held_is_gone_and_enabled_again_it_serves_the_same_sessions() -> None:
    async def main() -> None:
        async with bench(BUSY) as it:
            node, busy = it.node, it.bad
            registered = node.operations.get("busy")

            async def operate() -> None:
                with node.operations.running("bad"):
                    await node.operations.call(registered, Nothing(), None)  # type: ignore[arg-type]

            operating = asyncio.get_running_loop().create_task(operate())
            request = await an_open_request(it)
            stream = await it.peer.open_stream(WAIT)
            await stream.write(b"!")
            await asyncio.sleep(1)
            assert await it.peer.request(ASK, b"") == b"first"
            assert ELSEWHERE in [address.without_peer() for address in node.addresses]
            assert not stored(node)

            (change,) = await node.control.disable(["bad"])

            assert change.tasks_left == 0
            assert node.supervisor.count("bad") == 0
            assert busy.is_closed
            for refused in (request, it.peer.request(ASK, b""), stream.read()):
                with pytest.raises(EndpointClosed, match="is not spoken here any more"):
                    await refused
            assert operating.cancelled() or operating.cancelling()
            with pytest.raises(UsageError):
                node.operations.get("busy")
            assert [status.name for status in node.routines.statuses() if status.plugin == "bad"] == []
            assert ELSEWHERE not in [address.without_peer() for address in node.addresses]
            assert ASK not in node.record.protocols
            assert stored(node)
            with pytest.raises(StorageError):
                await busy.database.run(lambda cursor: cursor.execute("SELECT 1").fetchall())
            assert len([event async for event in busy.subscription]) == 1, "it ends after what had come"
            assert busy.ctx.timers == 0
            assert row(node, "bad")[:2] == (False, False)
            assert "was switched off" in row(node, "bad")[2]
            turns = list(busy.calls)
            await it.others_go_on()
            assert busy.calls == turns

            await node.control.enable("bad")

            assert row(node, "bad") == (True, True, "")
            assert await it.peer.request(ASK, b"") == b"first"
            await asyncio.sleep(1.5)
            newer: Busy = it.made["bad"]
            assert newer is not busy
            assert "peer" in newer.calls
            assert "turn" in newer.calls
            assert await newer.database.run(lambda cursor: cursor.execute("SELECT * FROM things").fetchall()) == []
            assert ASK in node.record.protocols
            assert not stored(node)
            await it.others_go_on()

    run(main())


def test_session_that_began_without_a_protocol_gets_it_when_it_is_made_anew() -> None:
    async def main() -> None:
        async with bench(BUSY) as it:
            await it.node.control.disable(["bad"])
            await it.peer.close(reason="to be made anew")
            peer = await it.other.connect(it.node.addresses[-1])
            assert ASK not in peer.protocols
            change = await it.node.control.enable("bad")
            assert change.sessions_without == 1
            assert GOOD.id in peer.protocols
            await peer.close(reason="to be made anew")
            peer = await it.other.connect(it.node.addresses[-1])
            assert await peer.request(ASK, b"") == b"first"

    run(main())


class Reader:
    def __init__(self, ctx: Context) -> None:
        self.store: Any = ctx.require(STORE)


class User:
    def __init__(self, ctx: Context) -> None:
        self.store: Any = ctx.find(STORE)


def test_plugin_that_others_require_goes_with_them_or_not_at_all() -> None:
    async def main() -> None:
        more = {"reader": spec(Reader, requires=[STORE]), "user": spec(User, uses=[STORE])}
        async with bench(BUSY, **more) as it:
            with pytest.raises(UsageError, match="reader requires bad: disable all at once, `peerkit plugins disable"):
                await it.node.control.disable(["bad"])
            reader, store = it.made["reader"], it.made["user"].store
            change = await it.node.control.restart("bad", ["word=second"])
            assert change.with_it == ("reader",)
            assert it.made["reader"] is not reader
            assert store.get() == it.made["reader"].store.get() == "second"
            changes = await it.node.control.disable(["bad", "reader"])
            assert [change.name for change in changes] == ["reader", "bad"]
            with pytest.raises(Unavailable, match="plugin bad is switched off"):
                store.get()
            with pytest.raises(PluginError, match="reader requires"):
                await it.node.control.enable("reader")
            await it.node.control.enable("bad")
            await it.node.control.enable("reader")
            assert store.get() == "second"

    run(main())


def test_new_settings_are_judged_before_anything_stops_and_explained_after() -> None:
    async def main() -> None:
        async with bench(BUSY) as it:
            for wrong in ("size=11", "wrod=x", "nonsense"):
                with pytest.raises(ConfigError):
                    await it.node.control.restart("bad", [wrong])
            assert it.made["bad"] is it.bad
            assert not it.bad.is_closed
            assert await it.peer.request(ASK, b"") == b"first"
            await it.node.control.restart("bad", ["word=second", "size=7"])
            assert await it.peer.request(ASK, b"") == b"second"
            lines = {line.key: (line.value, line.layer) for line in it.node.host.explain()}
            assert lines["plugins.bad.size"] == (7, "plugins.restart --set")
            await it.others_go_on()

    run(main())


def test_instance_that_fails_gives_way_to_the_one_of_before_or_leaves_everything_shut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        async with bench(BUSY) as it:
            monkeypatch.setattr(Busy, "fails", "second")
            with pytest.raises(PluginError, match="OSError: cannot start with second; it runs on with the settings of"):
                await it.node.control.restart("bad", ["word=second"])
            assert await it.peer.request(ASK, b"") == b"first"
            assert row(it.node, "bad") == (True, True, "")

            monkeypatch.setattr(Busy, "fails", "first second")
            with pytest.raises(PluginError, match=r"nor does it .* so bad cannot run now"):
                await it.node.control.restart("bad", ["word=second"])
            enabled, is_running, why = row(it.node, "bad")
            assert (enabled, is_running) == (True, False)
            assert "cannot start with first" in why
            assert it.node.supervisor.count("bad") == 0
            question = Question(Action.LOOKUP, None, ELSEWHERE)
            assert not it.node.gate.check(question).allow, "its policy cannot decide, so nobody passes"

            monkeypatch.setattr(Busy, "fails", "")
            await it.node.control.enable("bad")
            assert it.node.gate.check(question).allow
            monkeypatch.setattr(Busy, "fails", "first")
            with pytest.raises(PluginError):
                await it.node.control.restart("bad")
            await it.node.control.disable(["bad"])
            assert it.node.gate.check(question).allow, "its owner wants it off"

    run(main())


class Listening:
    def __init__(self, ctx: Context) -> None:
        ctx.require(DATAGRAM_ENDPOINTS).watch(lambda _: None)


class Transport:
    schemes, preference = ("test",), 1

    async def listen(self, *_: object) -> Any: ...
    async def dial(self, *_: object) -> Any: ...


class Transports:
    @hookimpl
    def peerkit_register_transports(self) -> Sequence[StreamTransport]:
        return [Transport()]


class Mistaken:
    @hookimpl
    def peerkit_register_protocol(self) -> Sequence[ProtocolSpec]:
        return []


class Rival(Good):
    """Claims what `good` has."""


def test_kinds_that_live_as_long_as_the_node_are_refused_in_a_sentence() -> None:
    async def main() -> None:
        listening = spec(Listening, requires=[DATAGRAM_ENDPOINTS])
        async with bench(listening) as it:
            for name, why in (
                ("secure_noise", "wraps the packets of every session"),
                ("transport_tcp", "brings a transport"),
                ("bad", "takes datagrams from the node's own sockets"),
            ):
                for change in (it.node.control.disable([name]), it.node.control.restart(name)):
                    with pytest.raises(UsageError, match=f"plugin {name} {why}.*restart the node"):
                        await change
            with pytest.raises(UsageError, match="plugin godo does not run; did you mean good"):
                await it.node.control.disable(["godo"])
            with pytest.raises(UsageError, match="good runs already"):
                await it.node.control.enable("good")
            await it.others_go_on()

    run(main())


def test_enabling_judges_as_a_start_does_and_leaves_the_node_as_it_was() -> None:
    async def main() -> None:
        made: list[object] = []

        def broken(_ctx: Context) -> object:
            made.append(0)
            raise OSError("no disk")

        plugins = {
            "good": spec(Good),
            "rival": spec(Rival),
            "carrier": spec(lambda _: Transports()),
            "broken": spec(broken),
            "mistaken": spec(lambda _: Mistaken()),
            "needy": spec(Reader, requires=[STORE]),
        }
        late = [name for name in plugins if name != "good"]
        async with open_node(SimNetwork(), plugins, disable=late) as node:
            before = [status.name for status in node.host.status() if status.running]
            for name, why in (
                ("rival", "protocol test.org/good is registered by both good and rival: disable one of them"),
                ("carrier", "plugin carrier brings a transport or a wrapper: enable it in the profile and restart"),
                ("mistaken", "there is no hook peerkit_register_protocol"),
                ("broken", "OSError: no disk; it stays off"),
                ("needy", "needy requires test.store/1, which no enabled plugin provides"),
                ("nobody", "plugin nobody is enabled but not installed"),
            ):
                with pytest.raises(PluginError, match=why):
                    await node.control.enable(name)
                assert [status.name for status in node.host.status() if status.running] == before
                assert node.supervisor.count(name) == 0
            assert node.pool.context.owners[GOOD.id] == "good"
            assert made == [0]

    run(main())
