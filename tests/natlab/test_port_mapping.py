"""Whole nodes behind a router with a real miniupnpd: mappings appear, are renewed, come back after a restart, and
vanish when the node stops."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from peerkit import Node
from peerkit.capabilities import Finding
from peerkit.testing.nat_kinds import NATS
from tests.natlab.gateway_daemon import DAEMON, GatewayDaemon, gateway_daemon
from tests.natlab.laboratory import Site, laboratory
from tests.netns.space import missing

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing(DAEMON)), reason=missing(DAEMON)),
]
PROTOCOLS = ("pcp", "nat_pmp", "upnp")
UNTIL_S = 45.0  # on a busy machine
LEASE_S = 8


@pytest.fixture(scope="module")
def home() -> Iterator[Site]:
    with laboratory() as lab:
        yield lab.site(NATS["port_restricted"])


@pytest.fixture
def daemon(home: Site, tmp_path: Path) -> Iterator[GatewayDaemon]:
    with gateway_daemon(home.routers[0], tmp_path) as made:
        yield made


def profile(*protocols: str, lease_s: int = 3_600) -> dict[str, object]:
    node = {
        "network": "test",
        "listen": ["udp://0.0.0.0:0", "tcp://0.0.0.0:0"],
        "enable": ["secure_noise", "transport_tcp", "transport_udp", "nat_upnp"],
    }
    settings = {"protocols": list(protocols), "lease_s": lease_s, "check_s": 1, "retry_s": 2}
    return {"node": node, "plugins": {"nat_upnp": settings}}


def inside(home: Site, work: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run on the host; what fails there fails here."""
    failures: list[BaseException] = []

    def live() -> None:
        try:
            asyncio.run(work())
        except BaseException as exc:
            failures.append(exc)

    home.hosts[0].space.within(live)
    if failures:
        raise failures[0]


async def until(holds: Callable[[], bool], what: str) -> None:
    for _ in range(round(UNTIL_S / 0.2)):
        if holds():
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"after {UNTIL_S:g} s: {what}")


def expected(node: Node, home: Site) -> set[tuple[str, int, str]]:
    """What nft must say: every port that our record has at the router's address goes to our listener."""
    inside = {(a.scheme, a.port) for a in node.addresses if a.host == home.hosts[0].ip}
    outside = {(a.scheme, a.port) for a in node.addresses if a.host == home.external}
    assert {scheme for scheme, _ in outside} <= {scheme for scheme, _ in inside}
    ports = dict(inside)
    return {(scheme, port, f"{home.hosts[0].ip}:{ports[scheme]}") for scheme, port in outside}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_mappings_appear_come_back_after_a_restart_and_vanish(protocol: str, home: Site, daemon: GatewayDaemon) -> None:
    async def main() -> None:
        async with Node.open(profile(protocol)) as node:
            await until(lambda: len(expected(node, home)) == 2, "both ports are in the record")
            assert daemon.mapped() == expected(node, home), "and in the router"
            findings = [finding for plugin, finding in await node.host.diagnose() if plugin == "nat_upnp"]
            assert [finding.verdict for finding in findings] == ["ok"] and protocol in findings[0].text
            await asyncio.sleep(6)  # older than the clocks' tolerance
            daemon.stop()
            daemon.start()
            assert daemon.mapped() == set(), "it knows nothing any more"
            await until(lambda: daemon.mapped() == expected(node, home) != set(), "they are there again")
        assert daemon.mapped() == set(), "nothing is left behind"

    daemon.start()
    inside(home, main)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_leases_are_renewed(protocol: str, home: Site, daemon: GatewayDaemon) -> None:
    async def main() -> None:
        async with Node.open(profile(protocol, lease_s=LEASE_S)) as node:
            await until(lambda: len(daemon.mapped()) == 2, "both ports are mapped")
            await asyncio.sleep(2.5 * LEASE_S)
            assert daemon.mapped() == expected(node, home) != set()

    daemon.start()
    inside(home, main)


@pytest.mark.parametrize(("upnp", "pcp", "used"), [(False, True, "pcp"), (True, False, "upnp")])
def test_what_the_router_speaks_is_used(upnp: bool, pcp: bool, used: str, home: Site, daemon: GatewayDaemon) -> None:
    async def main() -> None:
        async with Node.open(profile(*PROTOCOLS)) as node:
            await until(lambda: len(expected(node, home)) == 2, "both ports are in the record")
            (finding,) = (finding for plugin, finding in await node.host.diagnose() if plugin == "nat_upnp")
            assert finding.details["protocol"] == used

    daemon.start(upnp, pcp)
    inside(home, main)


def test_a_router_behind_another_one_maps_nothing_and_doctor_says_why(tmp_path: Path) -> None:
    with laboratory() as lab:
        site = lab.site(NATS["double"])

        async def main() -> None:
            async with Node.open(profile("pcp", "nat_pmp")) as node:
                findings: list[Finding] = []

                async def look() -> bool:
                    findings[:] = [finding for plugin, finding in await node.host.diagnose() if plugin == "nat_upnp"]
                    return "no public address itself, as behind another NAT" in findings[0].text

                for _ in range(round(UNTIL_S)):
                    if await look():
                        break
                    await asyncio.sleep(1)
                assert await look() and findings[0].verdict == "warning", findings
                assert {address.host for address in node.addresses} == {site.hosts[0].ip}

        with gateway_daemon(site.routers[0], tmp_path) as daemon:
            daemon.start()
            inside(site, main)
            assert not daemon.mapped()
