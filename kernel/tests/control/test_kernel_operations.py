"""The kernel's operations on real kernel parts behind a small node of their own."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import structlog
from pydantic import BaseModel

from peerkit import transport
from peerkit._config.profile import Explanation
from peerkit._control.kernel_operations import KernelOperations
from peerkit._control.node_view import NodeView
from peerkit._control.registry import OperationRegistry
from peerkit._host.plan import PluginStatus
from peerkit._host.plugin_host import PluginUsage
from peerkit._host.run_time_control import Change
from peerkit._runtime.event_bus import EventBus
from peerkit._runtime.routines import RoutineScheduler
from peerkit._runtime.supervisor import Supervisor
from peerkit._runtime.tally import Tally
from peerkit._runtime.trust_gate import TrustGate
from peerkit.address import Address
from peerkit.capabilities import Finding
from peerkit.clock import Clock
from peerkit.errors import NotFound, PluginError, UsageError
from peerkit.event import DialFailed, PeerDisconnected
from peerkit.identity import Identity, PeerId
from peerkit.routine import Routine
from peerkit.session import Peer
from peerkit.testing import FakePool, SeededRng, run
from peerkit.trust import Action, Question, Verdict

PEER = Identity(bytes(32)).peer_id
OTHER = Identity(bytes([1] * 32)).peer_id
THERE = Address.parse("tcp://192.0.2.1:4433")


class LoopClock:
    """Virtual time of the running loop."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 1e9 + self.now()


class Host:
    def status(self) -> Sequence[PluginStatus]:
        return [
            PluginStatus("good", "1.0", "peerkit-good", True, True, ("a/1",), (), ""),
            PluginStatus("bad", "1.0", "peerkit-bad", True, False, (), ("a/1",), "it fell over"),
            PluginStatus("idle", "1.0", "peerkit-idle", False, False, (), (), ""),
        ]

    def explain(self) -> Sequence[Explanation]:
        return [Explanation("node.listen", ["tcp://127.0.0.1:0"], "preset local")]

    def usage(self) -> Mapping[str, PluginUsage]:
        tally = Tally("good")
        tally.calls, tally.held_s = 3, 0.5
        tally.failed("a timer", "OSError")
        return {"good": PluginUsage(tally, 2, 1, 0, {"tasks": 10}, 4)}

    async def diagnose(self) -> Sequence[tuple[str, Finding]]:
        return [("nat", Finding("NAT", "ok", "none")), ("map", Finding("port mapping", "problem", "no gateway"))]


class Plugins:
    """Changes nothing, and says so."""

    async def enable(self, name: str) -> Change:
        return Change(name, sessions_without=3)

    async def disable(self, names: Sequence[str]) -> Sequence[Change]:
        return [Change(name) for name in names]

    async def restart(self, name: str, sets: Sequence[str] = ()) -> Change:
        if name == "bad":
            raise PluginError("plugin bad was not started: no disk; it runs on with the settings of before")
        return Change(name, ("search",))


class DenyAll:
    name = "deny-all"

    def decide(self, question: Question) -> Verdict | None:
        return Verdict(False, "nobody passes") if question.action is Action.DIAL else None


@dataclass
class SmallNode:
    events: EventBus
    gate: TrustGate
    routines: RoutineScheduler
    supervisor: Supervisor
    control: Plugins = field(default_factory=Plugins)
    clock: Clock = field(default_factory=LoopClock)
    pool: FakePool = field(default_factory=FakePool)
    host: Host = field(default_factory=Host)
    operations: OperationRegistry = field(default_factory=OperationRegistry)
    peer_id: PeerId = PEER
    addresses: Sequence[Address] = (THERE.with_peer(PEER),)
    data_dir: Path = Path("/data")
    network: str = "test"
    started_at: float = 0.0

    @classmethod
    def make(cls) -> "SmallNode":
        clock, rng = LoopClock(), SeededRng(1)
        events = EventBus(clock)
        supervisor = Supervisor(clock, rng, events, structlog.get_logger())
        gate = TrustGate(clock, events, default_allow=True)
        gate.bind([("deny-all", DenyAll())])
        node = cls(events, gate, RoutineScheduler(supervisor, clock, rng), supervisor)
        KernelOperations(node).register()
        return node

    async def ask(self, op: str, **args: object) -> BaseModel | Sequence[BaseModel]:
        return await self.operations.get(op).operation.handler(self.operations.parse(op, args), Items())

    async def row(self, op: str, **args: object) -> Mapping[str, object]:
        answer = await self.ask(op, **args)
        assert isinstance(answer, BaseModel)
        return answer.model_dump()

    async def rows(self, op: str, **args: object) -> list[dict[str, object]]:
        answer = await self.ask(op, **args)
        assert not isinstance(answer, BaseModel)
        return [item.model_dump() for item in answer]


if TYPE_CHECKING:
    _fits: type[NodeView] = SmallNode


class Items:
    """A caller that keeps what it is told."""

    def __init__(self) -> None:
        self.items: list[BaseModel] = []

    def progress(self, done: float, total: float | None = None, unit: str = "", text: str = "") -> None:
        raise NotImplementedError

    def item(self, value: BaseModel) -> None:
        self.items.append(value)


def peer(rtt_s: float, is_dialer: bool) -> Peer:
    session = SimpleNamespace(
        is_dialer=is_dialer,
        remote=THERE.with_peer(OTHER),
        record=None,
        transport="tcp",
        stats=SimpleNamespace(rtt_s=rtt_s),
        paths=(transport.Path(THERE, THERE, window_bytes=12_000, loss=0.5),),
    )
    return cast(Peer, SimpleNamespace(id=OTHER, session=session, protocols={"b/x": "1.0", "a/x": "2.0"}))


def test_id_and_status_tell_who_and_how() -> None:
    async def main() -> None:
        node = SmallNode.make()
        assert await node.row("id") == {"peer_id": str(PEER)}
        await asyncio.sleep(90)
        status = await node.row("status")
        assert (status["peer_id"], status["uptime_s"], status["peers"]) == (str(PEER), 90, 0)
        assert status["listen"] == (f"{THERE}/{PEER}",)
        assert status["plugins"] == ("good",)
        assert status["failed"] == ("bad: it fell over",)

    run(main())


@pytest.mark.parametrize(("rtt_s", "shown"), [(0.25, 0.25), (float("nan"), None)])
def test_peers_have_the_promised_keys(rtt_s: float, shown: float | None) -> None:
    async def main() -> None:
        node = SmallNode.make()
        node.pool.members[OTHER] = peer(rtt_s, True)
        assert await node.rows("peers") == [
            {
                "peer_id": str(OTHER),
                "addresses": (str(THERE),),
                "direction": "out",
                "transport": "tcp",
                "rtt_s": shown,
                "protocols": ("a/x", "b/x"),
                "path": "lan",
                "loss": 0.5,
                "window_bytes": 12_000,
                "max_datagram_bytes": None,
            }
        ]

    run(main())


def test_connect_refuses_what_is_no_address() -> None:
    async def main() -> None:
        node = SmallNode.make()
        with pytest.raises(UsageError, match="is not an address"):
            await node.ask("connect", target="tcp://nowhere")
        with pytest.raises(UsageError, match="is not a peer id"):
            await node.ask("connect", target="nowhere")

    run(main())


def test_plugins_and_settings_come_from_the_host() -> None:
    async def main() -> None:
        node = SmallNode.make()
        assert [(row["verdict"], row["topic"]) for row in await node.rows("doctor")] == [
            ("problem", "port mapping"),
            ("ok", "NAT"),
        ], "the worst first"
        plugins = await node.rows("plugins")
        assert list(plugins[0]) == [
            *("name", "version", "distribution", "enabled", "running", "provides", "requires", "error")
        ]
        assert [plugin["name"] for plugin in plugins] == ["good", "bad", "idle"]
        assert await node.rows("config.explain") == [
            {"key": "node.listen", "value": ["tcp://127.0.0.1:0"], "layer": "preset local"}
        ]

    run(main())


def test_verbose_plugins_tell_what_each_did_and_holds_beside_what_they_always_tell() -> None:
    async def main() -> None:
        node = SmallNode.make()
        usual = await node.rows("plugins")
        rows = await node.rows("plugins", verbose=True)
        assert [{key: row[key] for key in usual[0]} for row in rows] == usual
        assert {key: value for key, value in rows[0].items() if key not in usual[0]} == {
            "calls": 3,
            "errors": 1,
            "last_error": "a timer: OSError",
            "held_s": 0.5,
            "longest_s": 0,
            "longest": "",
            "restarts": 4,
            "tasks": 2,
            "timers": 1,
            "subscriptions": 0,
            "limits": {"tasks": 10},
        }
        assert rows[2]["calls"] == 0, "one that does not run"

    run(main())


def test_changes_of_plugins_say_what_was_done_and_that_the_profile_is_as_it_was() -> None:
    async def main() -> None:
        node = SmallNode.make()
        text = (await node.row("plugins.enable", name="web"))["text"]
        assert text == (
            "web runs until the node stops; then the profile counts; "
            "3 open sessions learn its protocols when they are made anew"
        )
        (off,) = await node.rows("plugins.disable", names=["web"])
        assert off["text"] == "web is off until the node stops; then the profile counts"
        anew = (await node.row("plugins.restart", name="web", set=["port=1"]))["text"]
        assert anew == (
            "web was started anew with the new settings; to keep them, write them into the profile; "
            "search too, which requires it"
        )
        with pytest.raises(PluginError, match="it runs on with the settings of before"):
            await node.row("plugins.restart", name="bad")
        with pytest.raises(UsageError):
            await node.rows("plugins.disable", names=[])

    run(main())


def test_routines_are_started_stopped_and_timed() -> None:
    async def main() -> None:
        node = SmallNode.make()
        turns: list[float] = []

        async def turn() -> None:
            turns.append(node.clock.now())

        node.routines.add("p", Routine("p.turn", turn, interval_s=60, jitter=0, autostart=False))
        assert (await node.rows("routines"))[0]["started"] is False
        assert (await node.row("routines.start", name="p.turn"))["started"] is True
        await asyncio.sleep(1)
        assert (await node.row("routines.interval", name="p.turn", interval_s=5))["interval_s"] == 5
        await asyncio.sleep(11)
        assert turns == [0, 6, 11]
        assert (await node.row("routines.stop", name="p.turn"))["started"] is False
        await asyncio.sleep(60)
        assert len(turns) == 3
        with pytest.raises(NotFound):
            await node.ask("routines.stop", name="nothing")

    run(main())


def test_events_are_the_recent_ones_and_with_follow_those_to_come() -> None:
    async def main() -> None:
        node = SmallNode.make()
        node.events.emit(DialFailed("tcp://192.0.2.1:1", "refused"))
        node.events.emit(PeerDisconnected(OTHER, "bye", True))
        recent = await node.rows("events")
        assert [event["event"] for event in recent] == ["DialFailed", "PeerDisconnected"]
        assert recent[1]["fields"] == {"peer_id": str(OTHER), "reason": "bye", "by_peer": True}
        assert [event["sequence"] for event in await node.rows("events", type="DialFailed")] == [1]

        caller = Items()
        operation = node.operations.get("events").operation
        request = node.operations.parse("events", {"follow": True, "type": "DialFailed"})
        async with asyncio.TaskGroup() as group:
            following = group.create_task(_follow(operation.handler(request, caller)))
            await asyncio.sleep(1)
            node.events.emit(DialFailed("tcp://192.0.2.1:1", "refused again"))
            await asyncio.sleep(1)
            node.events.close()
            assert await following == []
        assert [item.model_dump()["fields"]["reason"] for item in caller.items] == ["refused", "refused again"]

    run(main())


async def _follow(answer: Awaitable[object]) -> object:
    return await answer


def test_trust_is_explained() -> None:
    async def main() -> None:
        node = SmallNode.make()
        node.gate.check(Question(Action.DIAL, OTHER, THERE.with_peer(OTHER)))
        await asyncio.sleep(3)
        (decision,) = await node.rows("trust.decisions")
        assert decision == {
            "action": "dial",
            "allow": False,
            "policy": "deny-all",
            "reason": "nobody passes",
            "peer_id": str(OTHER),
            "address": str(THERE),
            "seconds_ago": 3,
        }
        opinions = await node.rows("trust.explain", action="dial", address=str(THERE))
        assert opinions[-1] == {"policy": "decision", "allow": False, "reason": "deny-all: nobody passes"}
        assert (await node.rows("trust.explain", action="lookup"))[-1]["allow"] is True
        assert len(await node.rows("trust.decisions")) == 1

    run(main())


def test_the_catalogue_names_every_operation() -> None:
    async def main() -> None:
        node = SmallNode.make()
        names = [entry["name"] for entry in await node.rows("operations")]
        assert {"id", "status", "peers", "connect", "plugins", "routines.interval", "events", "operations"} <= set(
            names
        )

    run(main())
