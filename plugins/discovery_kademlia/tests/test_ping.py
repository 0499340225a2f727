"""Pings by datagrams: the bytes, who may ask, what a forger gets, and that nodes use them instead of sessions."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_discovery_kademlia.codec import Ping, Request
from peerkit_discovery_kademlia.io.asking import Asking
from peerkit_discovery_kademlia.ping import GRANT_BYTES, LIFE_S, MAX_GRANTS, PING_BYTES, PONG_BYTES, Pings, Tickets

from peerkit import Node
from peerkit.identity import PeerId
from peerkit.record import PeerRecord
from peerkit.testing import SimNetwork, run
from plugins.discovery_kademlia.tests.nodes import table_of

ASKER, ANSWERER = PeerId(bytes(range(32))), PeerId(bytes([7] * 32))
SALT, NONCE = b"saltsalt", b"noncenon"
SECRET = bytes(32)
WALL = 1_800_000_000.0

GOLDEN_PING = (
    "9073616c7473616c746b4b23802e446b13fa1d099eaa8e273967ea5a4061a8e7c60b22"
    "ee4bc81da00003bdb27b6e6f6e63656e6f6e6070aa03984d2fa4b05a462ea8221b6e"
)
GOLDEN_PONG = "916e6f6e63656e6f6e7be63c548027feec2b586b8655b40e03"


def asked(tickets: Tickets, pings: Pings) -> bytes:
    grant = tickets.grant(ASKER, SALT, WALL)
    assert len(grant) == GRANT_BYTES
    pings.learn(ANSWERER, grant, 0.0)
    packet = pings.ask(ANSWERER, NONCE, 1.0)
    assert packet is not None
    return packet


def test_a_ping_and_its_pong_have_these_bytes() -> None:
    tickets, pings = Tickets(SECRET), Pings()
    packet = asked(tickets, pings)
    answer = tickets.answer(packet, WALL)
    assert answer is not None and answer.asker == ASKER
    assert (packet.hex(), answer.pong.hex()) == (GOLDEN_PING, GOLDEN_PONG)
    assert (len(packet), len(answer.pong)) == (PING_BYTES, PONG_BYTES)
    assert ASKER.raw not in packet, "who asks is for the answerer alone"
    assert pings.answered(answer.pong) == NONCE


def test_no_bit_can_be_changed() -> None:
    tickets, pings = Tickets(SECRET), Pings()
    packet = asked(tickets, pings)
    answer = tickets.answer(packet, WALL)
    assert answer is not None
    for bit in range(8 * PING_BYTES):
        assert tickets.answer(flipped(packet, bit), WALL) is None
    for bit in range(8 * PONG_BYTES):
        assert pings.answered(flipped(answer.pong, bit)) is None
    assert pings.answered(answer.pong) == NONCE


def flipped(packet: bytes, bit: int) -> bytes:
    changed = bytearray(packet)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_ticket_is_of_one_answerer_and_one_day() -> None:
    tickets = Tickets(SECRET)
    packet = asked(tickets, Pings())
    assert Tickets(b"x" * 32).answer(packet, WALL) is None
    assert tickets.answer(packet, WALL + LIFE_S - 1) is not None
    assert tickets.answer(packet, WALL + LIFE_S) is None
    assert tickets.answer(packet, WALL - 60) is None, "issued in the future: the clock was wrong"


def test_a_pong_counts_only_while_its_ping_is_under_way() -> None:
    tickets, pings = Tickets(SECRET), Pings()
    answer = tickets.answer(asked(tickets, pings), WALL)
    assert answer is not None
    pings.forget(NONCE)
    assert pings.answered(answer.pong) is None


def test_a_grant_is_used_for_half_of_its_life_and_can_be_taken_back() -> None:
    tickets, pings = Tickets(SECRET), Pings()
    asked(tickets, pings)
    assert pings.ask(ANSWERER, NONCE, LIFE_S / 2 - 1) is not None
    assert pings.ask(ANSWERER, NONCE, LIFE_S / 2) is None
    pings.learn(ANSWERER, b"", 1.0)
    assert pings.ask(ANSWERER, NONCE, 1.0) is None


def test_grants_are_bounded() -> None:
    pings, grant = Pings(), Tickets(SECRET).grant(ASKER, SALT, WALL)
    peers = [PeerId(i.to_bytes(32, "big")) for i in range(MAX_GRANTS + 1)]
    for peer in peers:
        pings.learn(peer, grant, 0.0)
    assert pings.ask(peers[0], NONCE, 0.0) is None
    assert pings.ask(peers[-1], NONCE, 0.0) is not None


@given(st.binary(max_size=PING_BYTES + 2))
def test_any_bytes_are_dropped(packet: bytes) -> None:
    pings = Pings()
    pings.learn(ANSWERER, Tickets(SECRET).grant(ASKER, SALT, WALL), 0.0)
    assert Tickets(SECRET).answer(packet, WALL) is None
    assert pings.answered(packet) is None


@pytest.mark.parametrize("udp_pings", [True, False])
def test_a_dialled_entry_is_checked_without_a_session(udp_pings: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """C-02."""
    by_session: list[PeerId] = []
    ask = Asking.ask

    async def counting(asking: Asking, record: PeerRecord, request: Request) -> object:
        if isinstance(request, Ping):
            by_session.append(record.peer_id)
        return await ask(asking, record, request)

    monkeypatch.setattr(Asking, "ask", counting)

    async def main() -> None:
        net = SimNetwork()
        async with contextlib.AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(open_node(net, udp_pings)) for _ in range(2)]
            listener, dialer = nodes
            await dialer.connect(listener.addresses[0])
            await asyncio.sleep(300)
            (row,) = await table_of(dialer)
            assert row.dialled and row.misses == 0 and row.silent_s < 40, "it was checked all the time"
            assert (listener.peer_id not in by_session) == udp_pings

            net.unplug(net.hosts[0].ip)
            await asyncio.sleep(120)
            assert await table_of(dialer) == [], "silence ends an entry as before"

    run(main(), seed=1)


def open_node(net: SimNetwork, udp_pings: bool) -> contextlib.AbstractAsyncContextManager[Node]:
    platform = net.platform()
    profile = {
        "node": {
            "network": "test",
            "listen": [f"udp://{platform.ip}:0"],
            "enable": ["discovery_kademlia", "secure_noise", "transport_udp"],
        },
        "plugins": {"discovery_kademlia": {"liveness_interval_s": 20.0, "udp_pings": udp_pings}},
    }
    return Node.open(profile, platform=platform)
