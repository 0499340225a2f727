"""IPv6 through the firewall of a router with a real miniupnpd: a pinhole appears, lets strangers in, comes back after
a restart of the daemon, and vanishes with the node."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from peerkit_nat_upnp.mapping import PortMapped

from peerkit import Node
from peerkit.testing.nat_kinds import NATS
from tests.natlab.gateway_daemon import DAEMON, GatewayDaemon, gateway_daemon
from tests.natlab.laboratory import DEVICE, Site, laboratory
from tests.natlab.rules import LAN, WAN
from tests.natlab.test_port_mapping import inside, until
from tests.netns.space import missing, run

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing(DAEMON)), reason=missing(DAEMON)),
]
HOME, STRANGER, PORT = "2a00:1:1::2", "2a00:2::2", 4_433
HOME_PREFIX = "2a00:1:1::/64"
ROUTER_LAN, ROUTER_WAN, INTERNET, ELSEWHERE = "2a00:1:1::1", "2a00:1::2", "2a00:1::1", "2a00:2::1"
# After the daemon's own rules, which accept what has a pinhole.
FIREWALL = f"add rule inet {DAEMON} forward meta nfproto ipv6 iifname {WAN} ct state new drop\n"
ARRIVES_S = 1.0


@pytest.fixture(scope="module")
def sites() -> Iterator[tuple[Site, Site]]:
    """A home and a stranger, both with IPv6."""
    with laboratory() as lab:
        home, elsewhere = lab.site(NATS["port_restricted"]), lab.site()
        router, host, stranger = home.routers[0].space, home.hosts[0], elsewhere.hosts[0]
        for space in (router, lab.internet):
            space.set_sysctl("net.ipv6.conf.all.forwarding", "1")
        router.ip(
            f"address add {ROUTER_LAN}/64 dev {LAN} nodad",
            f"address add {ROUTER_WAN}/64 dev {WAN} nodad",
            f"route add default via {INTERNET}",
        )
        lab.internet.ip(
            f"address add {INTERNET}/64 dev to{home.number} nodad",
            f"address add {ELSEWHERE}/64 dev to{elsewhere.number} nodad",
            f"route add {HOME_PREFIX} via {ROUTER_WAN}",
        )
        stranger.space.ip(f"address add {STRANGER}/64 dev {DEVICE} nodad", f"route add default via {ELSEWHERE}")
        words = run(*router.command("ip", "-6", "-o", "address", "show", "dev", LAN, "scope", "link")).split()
        near = next(word.partition("/")[0] for word in words if word.startswith("fe80:"))
        host.space.ip(
            f"link set {DEVICE} down",  # it gets its link-local address anew
            f"link set {DEVICE} up",
            f"address add {HOME}/64 dev {DEVICE} nodad",
            f"route add default via {near} dev {DEVICE}",
        )
        yield home, elsewhere


@pytest.fixture
def daemon(sites: tuple[Site, Site], tmp_path: Path) -> Iterator[GatewayDaemon]:
    with gateway_daemon(sites[0].routers[0], tmp_path) as made:
        start(made, sites[0])
        yield made


def start(daemon: GatewayDaemon, home: Site) -> None:
    daemon.start(ipv6=True)
    home.routers[0].space.nft(FIREWALL)


def gets_in(home: Site, stranger: Site, port: int) -> bool:
    """Whether a datagram of the stranger comes to our host."""
    with (
        home.hosts[0].space.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_UDP) as every,
        stranger.hosts[0].space.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock,
    ):
        every.settimeout(ARRIVES_S)
        sock.sendto(b"let me in", (HOME, port))
        with contextlib.suppress(TimeoutError):
            while b"let me in" not in every.recv(2_048):
                pass
            return True
    return False


@pytest.mark.parametrize("protocol", ["pcp", "upnp"])
def test_a_pinhole_lets_strangers_in_comes_back_after_a_restart_and_vanishes(
    protocol: str, sites: tuple[Site, Site], daemon: GatewayDaemon
) -> None:
    home, stranger = sites
    enable = ["secure_noise", "transport_udp", "nat_upnp"]
    node = {"network": "test", "listen": [f"udp://[::]:{PORT}"], "enable": enable}
    settings = {"protocols": [protocol], "check_s": 1, "retry_s": 2}

    async def main() -> None:
        async with Node.open({"node": node, "plugins": {"nat_upnp": settings}}) as opened:
            await until(lambda: bool(daemon.pinholes()), "there is a pinhole")
            await until(
                lambda: any(isinstance(each.event, PortMapped) for each in opened.events.recent()), "the node knows it"
            )
            assert daemon.pinholes() == {("udp", PORT, HOME)}
            assert gets_in(home, stranger, PORT) and not gets_in(home, stranger, PORT + 1)
            findings = [finding for plugin, finding in await opened.host.diagnose() if plugin == "nat_upnp"]
            assert [(f.verdict, f.details["protocol"]) for f in findings] == [("ok", protocol)]
            await asyncio.sleep(6)  # older than the clocks' tolerance
            daemon.stop()
            start(daemon, home)
            assert daemon.pinholes() == set(), "it knows nothing any more"
            await until(lambda: daemon.pinholes() == {("udp", PORT, HOME)}, "it is there again")
            assert gets_in(home, stranger, PORT)
        assert daemon.pinholes() == set(), "nothing is left behind"

    assert not gets_in(home, stranger, PORT)
    inside(home, main)
    assert not gets_in(home, stranger, PORT)
