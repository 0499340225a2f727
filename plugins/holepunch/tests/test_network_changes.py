"""One side's router restarts, or gets another address: the session goes back to its relay and is punched anew."""

import asyncio
from collections.abc import Callable

import pytest
from peerkit_holepunch.events import Punched

from peerkit import Node
from peerkit.event import SessionPathsChanged
from peerkit.session import Session
from peerkit.testing import run
from peerkit.testing.sim_nat import SimNat
from peerkit.transport import PathKind
from plugins.holepunch.tests.nodes import ECHO, Homes, homes, told

CHANGES: dict[str, Callable[[SimNat], None]] = {"rebinding": SimNat.forget, "uplink": lambda nat: nat.move("45.77.0.1")}
FALL_BACK_S = 5.0  # three probe timeouts on each side, after a second in which who only listens waits
PUNCH_S = 5.0


async def until(session: Session, is_relayed: bool, within_s: float) -> None:
    for _ in range(round(within_s / 0.05)):
        if (session.paths[0].kind is PathKind.RELAYED) is is_relayed:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"after {within_s:g} s: {session.paths}")


def path_kinds(node: Node, peer: Node) -> list[str]:
    events = [e.event for e in node.events.recent() if isinstance(e.event, SessionPathsChanged)]
    kinds = [event.kind for event in events if event.peer_id == peer.peer_id]
    return [kind for kind, before in zip(kinds, ["", *kinds], strict=False) if kind != before]


async def ask_on_and_on(session: Session) -> None:
    """An application that would notice."""
    while True:
        assert await session.request(ECHO.id, bytes(2_000), timeout_s=20) == bytes(2_000)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("mover", ["dialer", "acceptor"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_session_whose_peer_is_elsewhere_is_punched_anew(change: str, mover: str) -> None:
    async def at_work(at: Homes) -> None:
        session = await at.meet()
        await until(session, False, 10)
        await asyncio.sleep(5)
        nat = at.net.hosts[-2 if mover == "dialer" else -1].outer
        assert nat is not None
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask_on_and_on(session))
            await asyncio.sleep(5)
            CHANGES[change](nat)
            await until(session, True, FALL_BACK_S)
            await until(session, False, PUNCH_S)
            await asyncio.sleep(5)
            asking.cancel()
        assert session.is_open and session.paths[0].kind is PathKind.DIRECT
        assert [type(event) for event in told(at.a)] == [Punched, Punched]
        assert path_kinds(at.a, at.b) == ["direct", "relayed", "direct"]
        (at_b,) = (peer for peer in at.b.peers() if peer.id == at.a.peer_id)
        seen = at_b.session if mover == "dialer" else session
        assert seen.paths[0].remote.host == nat.ip, "where it is now"

    async def main() -> None:
        async with homes("port_restricted", "port_restricted") as at:
            await at_work(at)

    run(main(), seed=3)
