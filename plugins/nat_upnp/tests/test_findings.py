"""What the owner of a node hears about its router: also that a second NAT stands before it, and what to do."""

import asyncio
from collections.abc import Sequence

import pytest
from peerkit_nat_upnp.findings import with_mappings
from peerkit_nat_upnp.nat_pmp import PORT

from peerkit import Address, Node
from peerkit.capabilities import REACHABILITY, Finding, NatFiltering, NatMapping
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.testing import run
from plugins.nat_upnp.tests.routers import HOST, ROUTER, Home, home

OUTSIDE, ELSEWHERE = "45.1.1.2", "45.2.2.2"


def finding(host: str, *seen: str) -> Finding:
    return with_mappings(ROUTER, "pcp", [Address("udp", host, 4_433)], seen, {})


def test_what_is_forwarded_is_told() -> None:
    for seen in ((), (OUTSIDE,), (OUTSIDE, ELSEWHERE)):
        told = finding(OUTSIDE, *seen)
        assert told.verdict == "ok" and f"udp://{OUTSIDE}:4433 to us (by pcp)" in told.text


@pytest.mark.parametrize(
    ("host", "words"),
    [("192.168.178.20", "make one of the two a bridge"), ("100.64.3.2", "ask the provider for a public IPv4 address")],
)
def test_a_second_nat_is_told_and_what_to_do(host: str, words: str) -> None:
    told = finding(host, OUTSIDE)
    assert told.verdict == "warning" and words in told.text and host in told.text


def test_another_address_than_the_one_that_peers_see_is_told() -> None:
    told = finding(OUTSIDE, ELSEWHERE)
    assert told.verdict == "warning" and f"peers see this node at {ELSEWHERE}" in told.text
    pinhole = with_mappings(ROUTER, "upnp", [Address("udp", "2a00::1", 1)], [ELSEWHERE], {})
    assert pinhole.verdict == "ok", "of IPv6 nothing is translated"


class Seen:
    """What peers see, as the plugin `public_address` would say."""

    mapping, filtering, port_step, is_public = NatMapping.UNKNOWN, NatFiltering.UNKNOWN, 0, None
    host = ELSEWHERE

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        ctx.provide(REACHABILITY, self)

    def observed(self, scheme: str) -> Sequence[Address]:
        return [Address(scheme, self.host, 4_433)]


def nat_pmp_router(at: Home, external: str) -> None:
    """A router that maps whatever it is asked to, and says that this is its address."""

    def answer(question: bytes) -> bytes:
        if question == bytes(2):
            return bytes.fromhex("0080000000000005") + bytes(map(int, external.split(".")))
        return bytes((0, 128 + question[1])) + bytes.fromhex("000000000006") + question[4:6] * 2 + question[8:12]

    at.answer_datagrams(PORT, lambda question, _source: [(at.router.endpoints[ROUTER, PORT], answer(question))])


@pytest.mark.parametrize(
    ("external", "seen", "verdict", "is_told"),
    [
        (OUTSIDE, OUTSIDE, "ok", True),
        (OUTSIDE, ELSEWHERE, "warning", True),
        ("100.64.3.2", OUTSIDE, "warning", False),
        ("192.168.178.20", OUTSIDE, "warning", False),
    ],
)
def test_a_node_tells_others_no_address_that_is_not_public(
    external: str, seen: str, verdict: str, is_told: bool
) -> None:
    async def main() -> None:
        at = home()
        nat_pmp_router(at, external)
        enable = ["secure_noise", "transport_udp", "nat_upnp", "seen"]
        profile = {"node": {"network": "test", "listen": ["udp://0.0.0.0:4433"], "enable": enable}}
        spec = PluginSpec(Settings, type("SeenThere", (Seen,), {"host": seen}), provides=(REACHABILITY,))
        async with Node.open(profile, plugins={"seen": spec}, platform=at.net.platform(HOST)) as node:
            await asyncio.sleep(20)
            (told,) = (finding for plugin, finding in await node.host.diagnose() if plugin == "nat_upnp")
            assert told.verdict == verdict
            assert [a.host for a in node.addresses if a.host != HOST] == [external] * is_told

    run(main(), seed=1)
