import asyncio
import gc

from kernel.tests.runtime.nodeless import parts
from peerkit._runtime.event_bus import QUEUED, REPLAYED
from peerkit.event import ContentUnshared, DialFailed, Event, NodeStopping
from peerkit.testing import run


def test_subscription_gets_its_type_from_the_call_on() -> None:
    async def main() -> None:
        bus = parts().events
        bus.emit(NodeStopping("before"))
        seen = bus.subscribe(NodeStopping)
        everything = bus.subscribe(Event)
        bus.emit(DialFailed("tcp://192.0.2.1:1", "refused"))
        bus.emit(NodeStopping("after"))
        assert await anext(seen) == NodeStopping("after")
        assert isinstance(await anext(everything), DialFailed)
        assert isinstance(await anext(everything), NodeStopping)

    run(main())


def test_replay_gives_the_recent_ones_first_and_is_bounded() -> None:
    async def main() -> None:
        bus = parts().events
        for n in range(REPLAYED + 50):
            bus.emit(NodeStopping(str(n)))
        late = bus.subscribe(NodeStopping, replay=True)
        bus.emit(NodeStopping("new"))
        bus.close()
        reasons = [event.reason async for event in late]
        assert reasons == [str(n) for n in range(50, REPLAYED + 50)] + ["new"]

    run(main())


def test_slow_reader_loses_the_oldest_and_knows_how_many() -> None:
    async def main() -> None:
        bus = parts().events
        slow = bus.subscribe(NodeStopping)
        for n in range(QUEUED + 3):
            bus.emit(NodeStopping(str(n)))
        assert slow.lost == 3
        assert (await anext(slow)).reason == "3"

    run(main())


def test_sequence_counts_each_type_by_itself() -> None:
    async def main() -> None:
        bus = parts().events
        follow = bus.follow()
        for event in (NodeStopping("a"), DialFailed("x", "y"), NodeStopping("b")):
            bus.emit(event)
        bus.close()
        assert [(e.type, e.sequence) async for e in follow] == [
            ("NodeStopping", 1),
            ("DialFailed", 1),
            ("NodeStopping", 2),
        ]

    run(main())


def test_failing_listener_does_not_keep_the_event_from_the_others() -> None:
    async def main() -> None:
        bus = parts().events
        heard: list[str] = []

        def fail(event: NodeStopping) -> None:
            raise KeyError(event.reason)

        bus.listen("bad", NodeStopping, fail)
        end = bus.listen("good", NodeStopping, lambda event: heard.append(event.reason))
        bus.emit(NodeStopping("a"))
        end()
        end()
        bus.emit(NodeStopping("b"))
        assert heard == ["a"]

    run(main())


def test_what_a_listener_emits_is_told_afterwards_and_two_that_answer_each_other_come_to_an_end() -> None:
    async def main() -> None:
        bus = parts().events
        order: list[str] = []

        def answer(event: NodeStopping) -> None:
            if event.reason == "first":
                bus.emit(DialFailed("x", "caused"))

        bus.listen("a", NodeStopping, answer)
        bus.listen("b", Event, lambda event: order.append(type(event).__name__))
        bus.emit(NodeStopping("first"))
        assert order == ["NodeStopping", "DialFailed"]
        bus.listen("c", ContentUnshared, lambda event: bus.emit(ContentUnshared(event.content_id, "again")))
        bus.emit(ContentUnshared("c1", "loop"))
        bus.emit(NodeStopping("still alive"))
        assert order[-1] == "NodeStopping"

    run(main())


def test_dropped_subscription_is_forgotten() -> None:
    async def main() -> None:
        bus = parts().events
        dropped = bus.subscribe(NodeStopping)
        del dropped
        gc.collect()
        assert len(bus._subscriptions) == 0

    run(main())


def test_closed_bus_ends_a_waiting_reader() -> None:
    async def main() -> None:
        it = parts()
        reader = it.supervisor.task("p", "read", anext_or_none(it.events.subscribe(NodeStopping)))
        await asyncio.sleep(1)
        it.events.close()
        assert await reader is None

    async def anext_or_none(subscription: object) -> object:
        assert hasattr(subscription, "__anext__")
        return await anext(subscription, None)

    run(main())
