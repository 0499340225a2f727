"""The fake context holds a plugin to what a real node holds it to."""

import asyncio
from dataclasses import dataclass

import pytest

from peerkit.capabilities import CONTENT_ROUTING, PEER_ROUTING, Capability
from peerkit.errors import LocalProtocolError, PluginConflictError, Unavailable
from peerkit.event import Event
from peerkit.identity import verify
from peerkit.plugin import PluginSpec, Settings
from peerkit.testing import FakePluginContext, SimNetwork, run
from peerkit.trust import Action, Question

PETS: Capability[object] = Capability("example.pets/1")


class NoSettings(Settings):
    pass


@dataclass(frozen=True, slots=True)
class Barked(Event):
    loudness: int


def _context(spec: PluginSpec[NoSettings] | None = None) -> FakePluginContext[NoSettings]:
    return FakePluginContext(NoSettings(), SimNetwork().platform(), spec=spec)


def test_capabilities_are_held_to_the_spec() -> None:
    async def main() -> None:
        spec = PluginSpec(NoSettings, lambda _: None, provides=(PETS,))
        ctx = _context(spec)
        with pytest.raises(LocalProtocolError, match=r"does not name peerkit.peer_routing/1 in its requires"):
            ctx.require(PEER_ROUTING)
        ctx.provide(PETS, "dog")
        with pytest.raises(PluginConflictError):
            ctx.provide(PETS, "cat")
        ctx.started()
        with pytest.raises(LocalProtocolError, match="after its factory"):
            ctx.provide(PETS, "cow")
        assert ctx.provided == {PETS.name: "dog"}

    run(main())


def test_supplied_objects_are_found_and_missing_ones_are_unavailable() -> None:
    async def main() -> None:
        ctx = _context()
        ctx.supply(PETS, "dog")
        assert ctx.require(PETS) == ctx.find(PETS) == "dog"
        assert ctx.find(CONTENT_ROUTING) is None
        with pytest.raises(Unavailable):
            ctx.require(CONTENT_ROUTING)

    run(main())


def test_events_reach_subscribers_and_the_test() -> None:
    async def main() -> None:
        ctx = _context()
        ctx.emit(Barked(1))
        late, replayed = ctx.subscribe(Barked), ctx.subscribe(Barked, replay=True)
        ctx.emit(Barked(2))
        assert await anext(late) == Barked(2)
        assert [await anext(replayed), await anext(replayed)] == [Barked(1), Barked(2)]
        assert ctx.emitted == [Barked(1), Barked(2)]

    run(main())


def test_a_failed_task_fails_the_test_at_the_end() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        ctx = _context()
        ctx.spawn(fail(), "fail")
        cancel = ctx.spawn(asyncio.Event().wait(), "wait")  # type: ignore[arg-type]
        cancel()
        await asyncio.sleep(1)
        with pytest.raises(ZeroDivisionError):
            await ctx.close()

    run(main())


def test_signatures_are_real() -> None:
    async def main() -> None:
        ctx = _context()
        signed = ctx.sign("pets", b"dog")
        verify(ctx.peer_id, "pets", ctx.network_id, signed.body, signed.signature)

    run(main())


def test_the_gate_says_what_the_test_wants() -> None:
    async def main() -> None:
        ctx = _context()
        question = Question(Action.STORE, ctx.peer_id)
        assert ctx.check(question).allow
        ctx.deny = lambda asked: "no room" if asked.action is Action.STORE else None
        assert ctx.check(question).reason == "no room"
        assert ctx.check(Question(Action.LOOKUP)).allow

    run(main())


def test_logs_are_kept_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        ctx = _context()
        ctx.log.bind(peer="p").warning("peer_gone", after_s=3)
        assert ctx.logs == [("warning", "peer_gone", {"peer": "p", "after_s": 3})]

    run(main())
    assert capsys.readouterr() == ("", "")
