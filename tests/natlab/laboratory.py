"""Hosts behind real routers: network namespaces joined by an internet.

                 192.168.1.0/24            45.1.1.0/24
    host eth0 ──────────── lan router wan ───────────── internet ── 45.2.1.2 host
    host eth0 ─────────┘                                     └───── router ── … ── router ── host

Every site has a /16 of its own that looks public, every router a /24 of its own inside.  Addresses that belong to
nobody swallow what is sent to them, as do private ones beyond one's own router.  The internet is one hop: a packet
that leaves a host with a TTL of 2 passes the host's router and dies before the next one.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from peerkit.capabilities import NatFiltering
from peerkit.testing import NatKind
from tests.natlab.conntrack import Conntrack
from tests.natlab.rules import LAN, WAN, rules_of
from tests.netns.space import Space, run, spaces

DEVICE = "eth0"  # a host's


@dataclass(slots=True)
class Host:
    """A machine with one address.

    Attributes:
        ip: private behind a router.
    """

    space: Space
    ip: str


@dataclass(slots=True)
class Router:
    """A NAT.

    Attributes:
        external: its address on the outside.
    """

    space: Space
    kind: NatKind
    external: str
    rebindings: int = 0

    def install(self) -> None:
        """Its rules, and no others; what it knew is forgotten."""
        self.space.nft(rules_of(self.kind, self.external, self.rebindings))
        with Conntrack(self.space) as conntrack:
            conntrack.forget_all()

    def rebind(self) -> None:
        """Forget every mapping, as after a restart: the next packet of a connection takes another port."""
        self.rebindings += 1
        self.install()

    def forget(self, remote: str) -> None:
        """Forget what was sent to and from one address, and no other mapping."""
        with Conntrack(self.space) as conntrack:
            conntrack.forget(remote)
        if self.kind.filtering is NatFiltering.ADDRESS_DEPENDENT:
            self.space.nft("".join(f"flush set ip nat {protocol}_contacted\n" for protocol in ("tcp", "udp")))


class Site:
    """Hosts behind the same routers.

    Attributes:
        number: its place in the internet.
        routers: from the hosts outwards; none when the host is on the internet itself.
    """

    def __init__(self, number: int, internet: Space, routers: Sequence[Router], hosts: Sequence[Host]) -> None:
        self.number = number
        self.routers = routers
        self.hosts = hosts
        self._internet = internet
        self._uplinks = 1

    @property
    def external(self) -> str:
        """The address at which others see it."""
        return self.routers[-1].external if self.routers else self.hosts[0].ip

    def rebind(self) -> None:
        """See `Router.rebind`."""
        for router in self.routers:
            router.rebind()

    def forget(self, remote: str) -> None:
        """See `Router.forget`."""
        for router in self.routers:
            router.forget(remote)

    def change_uplink(self) -> None:
        """Be somewhere else in the internet, with another address: what was sent to the old one is lost."""
        self._uplinks += 1
        gateway, address = (f"45.{self.number}.{self._uplinks}.{i}" for i in (1, 2))
        device = f"to{self.number}"
        self._internet.ip(*_address(device, gateway))
        if self.routers:
            router = self.routers[-1]
            router.external = address
            router.space.ip(*_address(WAN, address, gateway))
            router.install()
        else:
            self.hosts[0].ip = address
            self.hosts[0].space.ip(*_address(DEVICE, address, gateway))


class Laboratory:
    """Attributes:
    internet: forwards between the sites.
    """

    def __init__(self, internet: Space, stack: ExitStack) -> None:
        self.internet = internet
        self._stack = stack
        self._sites = 0
        internet.set_sysctl("net.ipv4.ip_forward", "1")
        internet.ip("link set lo up", "route add blackhole default")

    def site(self, nats: Sequence[NatKind] = (), hosts: int = 1) -> Site:
        """Build one more.

        Args:
                nats: from the hosts outwards.  Without one there is exactly one host.
        """
        self._sites += 1
        number = self._sites
        roles = [f"s{number}r{i}" for i in range(len(nats))] + [f"s{number}h{i}" for i in range(hosts)]
        made = self._stack.enter_context(spaces(*roles))
        routers = [Router(space, kind, "") for space, kind in zip(made, nats, strict=False)]
        outside = _Inside(self.internet, f"to{number}", f"45.{number}.1")
        for i, router in reversed(list(enumerate(routers))):
            is_own = i == 0
            router.external = outside.join(router.space, WAN, 2)
            # between two routers: shared address space (RFC 6598)
            outside = _Inside(router.space, LAN, f"192.168.{number}" if is_own else f"100.64.{number}", is_own)
            router.space.set_sysctl("net.ipv4.ip_forward", "1")
            for name in ("all", "default"):
                router.space.set_sysctl(f"net.ipv4.conf.{name}.send_redirects", "0")  # a hairpin is no detour
            router.install()
        members = [Host(space, outside.join(space, DEVICE, i)) for i, space in enumerate(made[len(nats) :], 2)]
        return Site(number, self.internet, routers, members)

    def lose(self, per_mille: int) -> None:
        """Drop so many of 1,000 packets on their way through the internet, at random."""
        self._forward(f"numgen random mod 1000 < {per_mille} drop" if per_mille else "")

    def carry_udp(self, is_carried: bool) -> None:
        """Whether the internet does."""
        self._forward("" if is_carried else "meta l4proto udp drop")

    def _forward(self, rule: str) -> None:
        chain = f"chain forward {{ type filter hook forward priority filter\n{rule}\n}}"
        self.internet.nft(f"flush ruleset\ntable ip trouble {{\n{chain}\n}}\n")


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    """Build it; everything is gone afterwards."""
    with ExitStack() as stack:
        (internet,) = stack.enter_context(spaces("internet"))
        yield Laboratory(internet, stack)


class _Inside:
    """What lies behind a router's device: one wire, or a bridge with several."""

    def __init__(self, router: Space, device: str, prefix: str, is_bridge: bool = False) -> None:
        self._router, self._device, self._prefix, self._is_bridge = router, device, prefix, is_bridge
        if is_bridge:
            # Otherwise what comes back to this bridge is translated there, and not routed.
            with suppress(FileNotFoundError):
                router.set_sysctl("net.bridge.bridge-nf-call-iptables", "0")
            router.ip(
                f"link add {device} type bridge", f"address add {prefix}.1/24 dev {device}", f"link set {device} up"
            )

    def join(self, space: Space, device: str, number: int) -> str:
        """Lay a wire from here; returns the address that the other end has."""
        near, far = f"port{number}" if self._is_bridge else self._device, f"{self._prefix}.{number}"
        run("ip", *f"link add {device} netns {space.name} type veth peer name {near} netns {self._router.name}".split())
        # Otherwise a batch of 44 datagrams crosses the wire as one packet, and is lost as one.
        up = f"link set {near} gso_max_segs 1 up"
        if self._is_bridge:
            self._router.ip(up, f"link set {near} master {self._device}")
        else:
            self._router.ip(up, *_address(near, f"{self._prefix}.1"))
        space.ip("link set lo up", f"link set {device} gso_max_segs 1 up", *_address(device, far, f"{self._prefix}.1"))
        return far


def _address(device: str, address: str, gateway: str = "") -> list[str]:
    """Have this address on a device, and no other, and a way out."""
    lines = [f"address flush dev {device}", f"address add {address}/24 dev {device}"]
    return [*lines, f"route replace default via {gateway}"] if gateway else lines
