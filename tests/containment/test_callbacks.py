"""Every callback of a running node × what a plugin can do wrong in it: the node says who and why, the others go on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from peerkit import ProtocolSpec
from peerkit._host import context
from peerkit.address import Address
from peerkit.capabilities import DATAGRAM_ENDPOINTS, DIAGNOSIS
from peerkit.discovery import Discovery
from peerkit.errors import LimitExceeded, PeerkitError, PluginError
from peerkit.event import CandidatesFound, NodeStarted, PeerConnected
from peerkit.operation import Model, Nothing, Operation
from peerkit.plugin import hookimpl
from peerkit.routine import Routine
from peerkit.testing import run
from peerkit.trust import Action, Question, TrustPolicy, Verdict
from tests.containment.misbehaving import STORE, AnySpec, Bench, Context, bench, spec

ID = "test.org/bad"


def fail(*_: object) -> Any:
    raise ZeroDivisionError("by design")


async def fail_later(*_: object) -> Any:
    fail()


async def hang(*_: object) -> Any:
    await asyncio.get_running_loop().create_future()


async def answer_wrong(*_: object) -> Any:
    return 7


class Bad:
    """Registers what the case wants."""

    def __init__(self, ctx: Context, **offers: Sequence[object]) -> None:
        self.ctx = ctx
        self._offers = offers

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return cast(list[ProtocolSpec], list(self._offers.get("protocols", ())))

    @hookimpl
    def peerkit_register_trust_policies(self) -> Sequence[TrustPolicy]:
        return cast(list[TrustPolicy], list(self._offers.get("policies", ())))

    @hookimpl
    def peerkit_register_discoveries(self) -> Sequence[Discovery]:
        return cast(list[Discovery], list(self._offers.get("discoveries", ())))

    @hookimpl
    def peerkit_register_routines(self) -> Sequence[Routine]:
        return cast(list[Routine], list(self._offers.get("routines", ())))

    @hookimpl
    def peerkit_register_operations(self) -> Sequence[Operation[Nothing]]:
        return cast(list[Operation[Nothing]], list(self._offers.get("operations", ())))


def bad(**offers: object) -> AnySpec:
    return spec(lambda ctx: Bad(ctx, **{kind: [offer] for kind, offer in offers.items()}))


def protocol(**handlers: Any) -> AnySpec:
    return bad(protocols=ProtocolSpec(ID, "1.0.0", timeout_s=5, **handlers))


# -- what the other node, or the case itself, does to call the plugin -------------------------------------------------


async def ask(it: Bench) -> None:
    with pytest.raises(PeerkitError):
        await it.peer.request(ID, b"?", timeout_s=20)


async def send(it: Bench) -> None:
    await it.peer.send(ID, b"!")


async def send_datagram(it: Bench) -> None:
    assert it.peer.session.send_datagram(ID, b"!")


async def open_stream(it: Bench) -> None:
    stream = await it.peer.open_stream(ID)
    await stream.write(b"!")
    with pytest.raises(PeerkitError):
        await stream.read()


async def nothing(_it: Bench) -> None:
    pass


async def lack_peers(it: Bench) -> None:
    it.node.events.emit(CandidatesFound("bad", 1))


async def run_operation(it: Bench) -> None:
    registered = it.node.operations.get("bad")
    with pytest.raises(PluginError, match="plugin bad failed in operation bad"):
        await it.node.operations.call(registered, Nothing(), cast(Any, None))


async def set_timer(it: Bench) -> None:
    it.bad.ctx.call_later(1, fail)


async def spawn_failing(it: Bench) -> None:
    it.bad.ctx.spawn(fail_later(), "work")


@dataclass
class Policy:
    """Wrong where the bad plugin's own protocol is concerned, and nowhere else."""

    answer: Callable[[], object]
    name: str = "bad"

    def decide(self, question: Question) -> Verdict | None:
        concerns_us = question.action is Action.OPEN_PROTOCOL and question.protocol == ID
        return cast(Verdict, self.answer()) if concerns_us else None


def policy(answer: Callable[[], object]) -> AnySpec:
    handled = ProtocolSpec(ID, "1.0.0", on_request=lambda request: request.payload)
    return bad(policies=Policy(answer), protocols=handled)


@dataclass
class Proposes:
    find_peers: Callable[[int], Awaitable[Any]]
    name: str = "bad"


async def propose_a_flood(_count: int) -> Sequence[Address]:
    return [Address("tcp", "192.0.2.1", 1)] * 100_000


async def propose_texts(_count: int) -> Sequence[str]:
    return ["192.0.2.1"]


def discovery(find_peers: Callable[[int], Awaitable[Any]]) -> AnySpec:
    return bad(discoveries=Proposes(find_peers))


class Text(Model):
    text: str


def operation(handler: Callable[..., Awaitable[Any]], many: bool = False) -> AnySpec:
    return bad(operations=Operation("bad", Nothing, Text, handler, many=many))


def routine(job: Callable[[], Awaitable[Any]]) -> AnySpec:
    return bad(routines=Routine("bad.turn", job, interval_s=1, timeout_s=5))


class Listens(Bad):
    async def run(self) -> None:
        async for _ in self.ctx.subscribe(NodeStarted, replay=True):
            fail()


class Watches(Bad):
    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        ctx.require(DATAGRAM_ENDPOINTS).watch(fail)


async def open_endpoint(it: Bench) -> None:
    await it.node.endpoints.towards(Address("udp", "192.0.2.1", 1))


NOT_BYTES = "it answered with int instead of bytes"
TOO_LONG = "a handler took longer than 5 s and was cancelled"
ERROR = "ZeroDivisionError: by design"
CASES: dict[str, tuple[AnySpec, Callable[[Bench], Awaitable[None]], str, str]] = {
    "request raises": (protocol(on_request=fail), ask, ID, ERROR),
    "request raises later": (protocol(on_request=fail_later), ask, ID, ERROR),
    "request answers wrong": (protocol(on_request=lambda _: 7), ask, ID, NOT_BYTES),
    "request answers wrong later": (protocol(on_request=answer_wrong), ask, ID, NOT_BYTES),
    "request hangs": (protocol(on_request=hang), ask, ID, TOO_LONG),
    "message raises": (protocol(on_message=fail), send, ID, ERROR),
    "message raises later": (protocol(on_message=fail_later), send, ID, ERROR),
    "message hangs": (protocol(on_message=hang), send, ID, TOO_LONG),
    "datagram raises": (protocol(on_datagram=fail), send_datagram, ID, ERROR),
    "stream raises": (protocol(on_stream=fail_later), open_stream, ID, ERROR),
    "stream's handler is no coroutine": (protocol(on_stream=lambda _: 7), open_stream, ID, "TypeError"),
    "peer raises": (protocol(on_peer=fail_later), nothing, f"{ID} on_peer", ERROR),
    "policy raises": (policy(fail), ask, "trust policy bad", ERROR),
    "policy answers wrong": (policy(lambda: True), ask, "trust policy bad", "bool instead of a Verdict"),
    "discovery raises": (discovery(fail_later), lack_peers, "discovery bad", ERROR),
    "discovery answers wrong": (discovery(answer_wrong), lack_peers, "discovery bad", "it proposed int"),
    "discovery proposes texts": (discovery(propose_texts), lack_peers, "discovery bad", "it proposed str"),
    "discovery hangs": (discovery(hang), lack_peers, "discovery bad", "longer than 30 s and was cancelled"),
    "operation raises": (operation(fail_later), run_operation, "operation bad", ERROR),
    "operation answers wrong": (operation(answer_wrong), run_operation, "operation bad", "int instead of a model"),
    "operation answers no list": (operation(answer_wrong, True), run_operation, "operation bad", "a list of models"),
    "routine raises": (routine(fail_later), nothing, "routine bad.turn", ERROR),
    "routine is no coroutine": (routine(cast(Any, lambda: 7)), nothing, "routine bad.turn", "TypeError"),
    "routine hangs": (routine(hang), nothing, "routine bad.turn", "longer than 5 s and was cancelled"),
    "timer raises": (bad(), set_timer, "a timer", ERROR),
    "task raises": (bad(), spawn_failing, "work", ERROR),
    "subscriber raises": (spec(Listens), nothing, "run", ERROR),
    "endpoint's watcher raises": (
        spec(Watches, requires=[DATAGRAM_ENDPOINTS]), open_endpoint, "a new datagram endpoint", ERROR
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_goes_wrong_in_a_callback_is_told_and_the_others_go_on(case: str) -> None:
    plugin, provoke, where, error = CASES[case]

    async def main() -> None:
        async with bench(plugin) as it:
            await provoke(it)
            async with asyncio.timeout(60):
                place, text = await it.told_first()
            assert place.startswith(where)
            assert error in text
            tally = it.node.host.tally("bad")
            assert tally.errors >= 1
            assert tally.last_error.startswith(where)
            await it.others_go_on()

    run(main())


def test_failure_that_a_stranger_can_repeat_is_told_once_a_minute_and_counted_always() -> None:
    async def main() -> None:
        async with bench(protocol(on_request=fail)) as it:
            for _ in range(100):
                await ask(it)
            assert len(it.told()) == 1
            assert it.node.host.tally("bad").errors == 100
            await asyncio.sleep(61)
            await ask(it)
            assert len(it.told()) == 2

    run(main())


def test_whom_a_plugin_asks_is_blamed_and_not_who_asked() -> None:
    class Provider(Bad):
        def __init__(self, ctx: Context) -> None:
            super().__init__(ctx)
            ctx.provide(STORE, self)

        def get(self, key: int = 1) -> object:
            return fail(key)

        async def fetch(self) -> object:
            return fail()

    class Asker:
        def __init__(self, ctx: Context) -> None:
            self.store: Any = ctx.require(STORE)

    asker: list[Asker] = []

    def make(ctx: Context) -> Asker:
        asker.append(Asker(ctx))
        return asker[0]

    async def main() -> None:
        async with bench(spec(Provider, provides=[STORE]), asker=spec(make, requires=[STORE])) as it:
            with pytest.raises(PluginError, match=r"plugin bad failed in get of test\.store/1"):
                asker[0].store.get(key=3)
            with pytest.raises(PluginError, match=r"plugin bad failed in fetch of test\.store/1"):
                await asker[0].store.fetch()
            assert [place for place, _ in it.told()] == ["get of test.store/1", "fetch of test.store/1"]
            assert it.node.host.tally("asker").errors == 0
            await it.others_go_on()

    run(main())


def test_diagnosis_that_fails_or_answers_wrong_is_a_finding() -> None:
    class Diagnoses(Bad):
        def __init__(self, ctx: Context) -> None:
            super().__init__(ctx)
            ctx.provide(DIAGNOSIS, cast(Any, self))

        diagnose = answer_wrong

    async def main() -> None:
        async with bench(spec(Diagnoses, provides=[DIAGNOSIS])) as it:
            ((plugin, finding),) = await it.node.host.diagnose()
            assert (plugin, finding.verdict) == ("bad", "problem")
            assert "something else than findings" in finding.text
            await it.others_go_on()

    run(main())


# -- floods ------------------------------------------------------------------------------------------------------------


def flood_of_tasks(ctx: Context) -> None:
    for _ in range(500):
        ctx.spawn(hang(), "one of many")


def flood_of_timers(ctx: Context) -> None:
    for _ in range(500):
        ctx.call_later(1e6, fail)


def flood_of_subscriptions(ctx: Context) -> None:
    kept = []
    for _ in range(500):
        kept.append(ctx.subscribe(PeerConnected))


@pytest.mark.parametrize("flood", [flood_of_tasks, flood_of_timers, flood_of_subscriptions])
def test_flood_of_what_a_plugin_can_begin_is_refused_by_name(
    flood: Callable[[Context], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("MAX_TASKS", "MAX_TIMERS", "MAX_SUBSCRIPTIONS"):
        monkeypatch.setattr(context, limit, 300)

    async def main() -> None:
        async with bench(bad()) as it:
            with pytest.raises(LimitExceeded, match="plugin bad"):
                flood(it.bad.ctx)
            await it.others_go_on()

    run(main())


def test_flood_of_events_leaves_a_listener_the_newest_and_the_node_its_turns() -> None:
    async def main() -> None:
        async with bench(bad()) as it:
            listener = it.node.events.follow()
            for n in range(5_000):
                it.bad.ctx.emit(CandidatesFound("bad", n))
            assert listener.lost >= 4_000
            assert len(it.node.events.recent()) <= 200
            await it.others_go_on()

    run(main())


def test_flood_of_candidates_is_cut_and_the_others_go_on() -> None:
    async def main() -> None:
        async with bench(discovery(propose_a_flood)) as it:
            await lack_peers(it)
            await asyncio.sleep(10)
            tasks = it.node.host.tally("bad")
            assert tasks.calls >= 1
            await it.others_go_on()

    run(main())


def test_handlers_that_never_end_hold_up_their_own_protocol_alone() -> None:
    slow = ProtocolSpec(ID, "1.0.0", on_stream=hang, on_request=hang, max_concurrent=4)

    async def main() -> None:
        async with bench(bad(protocols=slow)) as it:
            streams = [await it.peer.open_stream(ID) for _ in range(40)]
            for stream in streams:
                await stream.write(b"!")
            await asyncio.sleep(1)
            assert it.node.host.tally("bad").calls <= 5
            await it.others_go_on()
            for stream in streams:
                stream.reset()

    run(main())
