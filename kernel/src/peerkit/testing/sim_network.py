"""A seeded network in memory: hosts, what lies between them, and what goes wrong there.

`SimNetwork` gives each host (an IP like `10.0.7.1`, each in its own /24) a `SimPlatform`, on which a node runs
unchanged under virtual time.  The same seed gives the same run.  Built for 1,000 nodes in one process: a packet is one
timer, writes of one moment travel together, and there is no task per packet or per connection.

    async def main() -> None:
        net = SimNetwork(latency_s=(0.01, 0.05), loss=0.01)
        a, b = net.platform(), net.platform()
        ...
        net.partition([a.ip], [b.ip])

    peerkit.testing.run(main(), seed=7)

What is modelled: one-way delay per pair of hosts (symmetric, fixed for the run) and jitter, loss (a lost piece of a
stream arrives after a retransmission time-out, a lost datagram never), reordering and duplicates of datagrams, path
MTU, the uplink's bandwidth, partitions, unplugged and crashed hosts, NATs of every kind.  Not modelled: congestion,
routers' queues.

Hosts are on the internet, or behind a NAT: `net.platform(behind=net.nat(*NATS["symmetric"]))`.
"""

import ipaddress
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .nat_kinds import NatKind
from .sim_host import SimHost
from .sim_link import SimLink
from .sim_nat import SimNat
from .sim_platform import SimPlatform
from .virtual_time import VirtualTimeLoop, current_loop

LOOPBACK_DELAY_S = 0.000_05  # guess: two processes of one machine, or two machines behind one NAT
RETRANSMISSION_S = 0.2  # RFC 6298 says 1 s at least, Linux takes 0.2
SEGMENT_BYTES = 1_400  # what one lost packet of a stream holds


@dataclass(frozen=True, slots=True)
class _Partition:
    one: frozenset[str]
    other: frozenset[str]

    def parts(self, a: str, b: str) -> bool:
        return (a in self.one and b in self.other) or (a in self.other and b in self.one)


class SimNetwork:
    """All hosts and the wire between them.  Make it on a running `VirtualTimeLoop`.

    Args:
        latency_s: one-way delay: a range from which each pair of hosts has its own, or a function of two IPs.
        jitter_s: up to this much is added to each packet's delay.
        loss: share of packets lost, 0..1.
        reorder: share of datagrams that are held back by up to one more delay, 0..1.
        duplicate: share of datagrams that come twice, the second time held back likewise, 0..1.
        mtu_bytes: largest datagram that arrives: a number, or a function of two IPs.
        bandwidth_bytes_per_s: each host's uplink; `None` is unlimited.
        loop: the running loop unless told.
        rng: the loop's unless told.
    """

    def __init__(
        self,
        *,
        latency_s: tuple[float, float] | Callable[[str, str], float] = (0.005, 0.05),
        jitter_s: float = 0.0,
        loss: float = 0.0,
        reorder: float = 0.0,
        duplicate: float = 0.0,
        mtu_bytes: int | Callable[[str, str], int] = 1_472,
        bandwidth_bytes_per_s: float | None = None,
        loop: VirtualTimeLoop | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.loop = loop or current_loop()
        self.rng = rng or self.loop.rng
        self.latency_s = latency_s
        self.jitter_s = jitter_s
        self.loss = loss
        self.reorder = reorder
        self.duplicate = duplicate
        self.mtu_bytes = mtu_bytes
        self.bandwidth_bytes_per_s = bandwidth_bytes_per_s
        self.names: dict[str, Sequence[str]] = {}  # what `resolve` answers
        self.packets = 0  # batches of one moment sent, streams and datagrams
        self.bytes = 0
        self.streams = 0  # opened
        self.links: list[SimLink] = []
        self._hosts: dict[str, SimHost] = {}
        self._nats: dict[str, SimNat] = {}
        self._partitions: list[_Partition] = []
        self._waiting: dict[Callable[[], None], tuple[str, str]] = {}  # streams that a partition holds up
        self._seed = self.rng.getrandbits(64)
        self.loop.at_close.append(self._close_databases)

    # hosts

    def platform(self, ip: str | None = None, behind: SimNat | None = None) -> SimPlatform:
        """A platform on the host with this IP, a new host unless it exists.

        A host keeps its databases: a second platform of the same IP is the same machine after a restart.
        """
        return SimPlatform(self.host(ip, behind))

    def host(self, ip: str | None = None, behind: SimNat | None = None) -> SimHost:
        """The host with this IP (IPv4 or IPv6), made when it does not exist; without `ip`, a new one.

        Args:
            behind: the NAT whose network a new host is on; without one it is on the internet.  No two hosts have the
                same IP, also behind NATs.
        """
        ip = str(ipaddress.ip_address(ip)) if ip else self._free_ip()
        host = self._hosts.get(ip)
        if host is None:
            host = self._hosts[ip] = SimHost(self, ip, self._rng_of(ip), behind)
        return host

    def nat(self, *kinds: NatKind, ip: str | None = None) -> SimNat | None:
        """A new NAT, or several in a row.

        Args:
            kinds: from the hosts outwards.
            ip: of the outermost; one that looks public unless told.

        Returns:
            The one that hosts are behind, `None` when there is no kind.
        """
        made: SimNat | None = None
        for kind in reversed(kinds):
            number = len(self._nats) + 1
            net = "100.64" if made else f"45.{number >> 8}"  # between two NATs: shared address space (RFC 6598)
            own = f"{net}.{number & 255}.2" if made or not ip else str(ipaddress.ip_address(ip))
            made = self._nats[own] = SimNat(self, own, kind, self._rng_of(own), made)
        return made

    def readdress(self, nat: SimNat, ip: str) -> None:
        """Give a NAT another IP; `SimNat.move` calls it."""
        self._nats[ip] = self._nats.pop(nat.ip)

    def _rng_of(self, ip: str) -> random.Random:
        """Its own, so that hosts do not disturb each other."""
        return random.Random(f"{self._seed}/{ip}")

    def _free_ip(self) -> str:
        number = len(self._hosts)
        while (ip := f"10.{number >> 8}.{number & 255}.1") in self._hosts:
            number += 1
        return ip

    def find(self, ip: str) -> SimHost | SimNat | None:
        """Who has this IP, wherever it is."""
        return self._hosts.get(ip) or self._nats.get(ip)

    @property
    def hosts(self) -> Sequence[SimHost]:
        return tuple(self._hosts.values())

    def link(self, name: str, *ips: str) -> SimLink:
        """A wire on which the hosts with these IPs hear each other's broadcasts.  Without one nobody does."""
        self.links.append(SimLink(name, [self.host(ip) for ip in ips]))
        return self.links[-1]

    # trouble

    def partition(self, hosts_a: Iterable[str], hosts_b: Iterable[str]) -> None:
        """Let no packet pass between the two groups of IPs, until `heal`.  Streams between them hang, as TCP does.  A
        host behind a NAT takes all hosts behind it along."""
        one, other = (frozenset(self._edge_ip(ip) for ip in hosts) for hosts in (hosts_a, hosts_b))
        self._partitions.append(_Partition(one, other))

    def heal(self) -> None:
        """End all partitions.  Streams that waited go on."""
        self._partitions.clear()
        self._let_go()

    def unplug(self, ip: str) -> None:
        """Cut a host off.  Its programs run on and notice nothing but silence."""
        self.host(ip).is_up = False

    def crash(self, ip: str) -> None:
        """Kill a host: its listeners, connections and sockets are gone without a word to anybody.

        Stop the node's tasks yourself; whatever they still send goes nowhere.
        """
        host = self.host(ip)
        host.is_up = False
        host.forget_sockets()

    def bring_up(self, ip: str) -> None:
        """Plug in or restart.  Connections from before a crash are reset when their peers next send."""
        self.host(ip).is_up = True
        self._let_go()

    # the wire, for the streams and datagrams of this package

    def is_blocked(self, a: SimHost, b: SimHost | SimNat) -> bool:
        if not (a.is_up and b.is_up):
            return True
        if not self._partitions:
            return False
        return any(partition.parts(a.edge.ip, b.edge.ip) for partition in self._partitions)

    def hold_up(self, go_on: Callable[[], None], a: SimHost, b: SimHost) -> None:
        """Call `go_on` once the two can reach each other again."""
        self._waiting[go_on] = (a.ip, b.ip)

    def delay_s(self, a: SimHost, b: SimHost | SimNat) -> float:
        """The pair's one-way delay, without jitter."""
        one, other = a.edge, b.edge
        if one is other:
            return LOOPBACK_DELAY_S
        if callable(self.latency_s):
            return self.latency_s(one.ip, other.ip)
        low, high = self.latency_s
        # uniform and symmetric without a table of all pairs: the fraction of the sum of two uniform numbers
        return low + (high - low) * ((one.position + other.position) % 1.0)

    def path_mtu(self, a: SimHost, b: SimHost | SimNat) -> int:
        return self.mtu_bytes(a.ip, b.ip) if callable(self.mtu_bytes) else self.mtu_bytes

    def arrives_at(self, a: SimHost, b: SimHost | SimNat, size_bytes: int) -> float:
        """When a packet that leaves `a` now is at `b`; loss left out.  Takes the uplink's time."""
        self.packets += 1
        self.bytes += size_bytes
        start = self.loop.time()
        if self.bandwidth_bytes_per_s is not None and a is not b:
            start = a.uplink_free_at = max(start, a.uplink_free_at) + size_bytes / self.bandwidth_bytes_per_s
        delay = self.delay_s(a, b)
        if self.jitter_s and a is not b:
            delay += self.rng.random() * self.jitter_s
        return start + delay

    def stream_arrives_at(self, a: SimHost, b: SimHost | SimNat, size_bytes: int) -> float:
        """As `arrives_at`, with the time that lost packets of a stream need to be sent again."""
        at = self.arrives_at(a, b, size_bytes)
        if self.loss and a is not b:
            packets = 1 + size_bytes // SEGMENT_BYTES
            if self.rng.random() > (1.0 - self.loss) ** packets:
                at += max(RETRANSMISSION_S, 2 * self.delay_s(a, b))
        return at

    def is_lost(self, a: SimHost, b: SimHost | SimNat) -> bool:
        return self.loss > 0 and a is not b and self.rng.random() < self.loss

    def _edge_ip(self, ip: str) -> str:
        place = self.find(ip)
        return place.edge.ip if place else ip

    def _close_databases(self) -> None:
        for host in self._hosts.values():
            for database in host.databases.values():
                database.close()

    def _let_go(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for go_on, (ip_a, ip_b) in waiting.items():
            a, b = self._hosts[ip_a], self._hosts[ip_b]
            if self.is_blocked(a, b):
                self._waiting[go_on] = (ip_a, ip_b)
            else:
                self.loop.call_later(self.delay_s(a, b), go_on)
