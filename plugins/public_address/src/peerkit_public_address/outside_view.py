"""What this node looks like from outside, put together from what peers said: the pure half of `Reachability`."""

from collections.abc import Collection, Sequence

from peerkit.address import Address
from peerkit.address_space import is_public
from peerkit.capabilities import NatMapping

from .mapping import UNKNOWN, MappingVerdict, classify
from .observations import Observations
from .verification import Subject, Verification

SYMMETRIC = (NatMapping.SYMMETRIC, NatMapping.SYMMETRIC_SEQUENTIAL)
MAX_CONFIRMED = 6  # a record has 16 places, and others find addresses too
MAX_GUESSES = 2  # of one scheme: a liar's word is not worth a dial-back when others agree


class OutsideView:
    """Attributes:
    observations: what peers said.
    own_hosts: numeric addresses of our interfaces.
    datagram_ports: IP version → port of the shared datagram socket.
    url_host: our public IPv4 as web pages say, or empty.
    """

    def __init__(self, observation_age_s: float) -> None:
        self.observations = Observations(observation_age_s)
        self.own_hosts: Collection[str] = ()
        self.datagram_ports: dict[int, int] = {}
        self.url_host = ""
        self._stream_ports: dict[str, list[tuple[int, int]]] = {}
        self._schemes: set[str] = set()

    def interfaces_are(self, hosts: Collection[str]) -> bool:
        """Tell which addresses our interfaces have; `True`: the network changed, and all that was seen is forgotten."""
        if set(hosts) == set(self.own_hosts):
            return False
        is_change = bool(self.own_hosts)
        self.own_hosts = tuple(hosts)
        if is_change:
            self.observations.forget()
            self.url_host = ""
        return is_change

    @property
    def listening_schemes(self) -> set[str]:
        return self._schemes

    def listens_on(self, bound: Sequence[Address]) -> None:
        """Tell where the listeners are bound; a wildcard stands for its family."""
        self._schemes = {address.scheme for address in bound}
        self._stream_ports = {}
        for address in bound:
            if address.ip is not None and address.scheme != "udp":
                self._stream_ports.setdefault(address.scheme, []).append((address.ip.version, address.port))

    @property
    def mapping(self) -> MappingVerdict:
        for version in (4, 6):  # IPv6 is hardly ever translated: it says nothing where there is IPv4
            sightings = self.observations.sightings(version)
            if sightings:
                return classify(sightings, self.own_hosts, self.datagram_ports.get(version, 0))
        return UNKNOWN

    def observed(self, scheme: str) -> list[Address]:
        if scheme == "udp":
            return [Address(scheme, c.host, c.port) for c in self.observations.endpoints()]
        ports = self._stream_ports.get(scheme, ())
        hosts = dict.fromkeys(c.host for c in self.observations.hosts())
        if self.url_host:
            hosts.setdefault(self.url_host)
        return [
            Address(scheme, host, port)
            for host in hosts
            for version, port in ports
            if version == (6 if ":" in host else 4)
        ]

    def subjects(self, advertised: Sequence[Address]) -> list[Subject]:
        """What is worth a dial-back: the shared datagram sockets, the stream addresses that peers' words suggest, and
        what else our record says, such as a router's port mapping.

        Args:
            advertised: what our record says now.
        """
        found: list[Subject] = []
        for version in self.datagram_ports:
            seen = {o.observer: o for o in self.observations.all() if o.port and (":" in o.host) == (version == 6)}
            addresses = [a for a in self.observed("udp") if (":" in a.host) == (version == 6)]
            if addresses:
                seen_by = {peer: Address("udp", o.host, o.port) for peer, o in seen.items()}
                found.append(Subject(tuple(addresses), seen_by))
        found = found or [Subject((address,)) for address in self._datagram_guesses()]
        known = {address for subject in found for address in subject.addresses}
        others = [a for scheme in self._stream_ports for a in self.observed(scheme)[:MAX_GUESSES]]
        others += [a for a in advertised if a.via is None and is_public(a.host)]
        found += [Subject((a,)) for a in dict.fromkeys(others) if a not in known and a.scheme in self._schemes]
        return found

    def _datagram_guesses(self) -> list[Address]:
        """Where no peer has seen the datagram socket: the pages' IP and our own port."""
        port = self.datagram_ports.get(4)
        return [Address("udp", self.url_host, port)] if self.url_host and port else []

    def confirmed(self, verification: Verification) -> list[Address]:
        """What our record should say: what four networks agree on or a dial-back reached, and none found closed.  The
        port of a stream address is a guess until one did."""
        found: list[Address] = []
        if "udp" in self._schemes and self.mapping.mapping not in SYMMETRIC:
            seen = {Address("udp", c.host, c.port): c.is_confirmed for c in self.observations.endpoints()}
            for address, is_confirmed in (seen or dict.fromkeys(self._datagram_guesses(), False)).items():
                is_reached = verification.reached([address], self.own_hosts)
                if is_reached or (is_confirmed and is_reached is None):
                    found.append(address)
        for scheme in self._stream_ports:
            found += [a for a in self.observed(scheme)[:MAX_GUESSES] if verification.reached([a], self.own_hosts)]
        return found[:MAX_CONFIRMED]
