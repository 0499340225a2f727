"""What this node looks like from outside, put together from what peers said: the pure half of `Reachability`."""

from collections.abc import Collection, Sequence

from peerkit.address import Address

from .mapping import UNKNOWN, MappingVerdict, classify
from .observations import Observations


class OutsideView:
    """Attributes:
    observations: what peers said.
    own_hosts: numeric addresses of our interfaces.
    datagram_ports: IP version → port of the shared datagram socket.
    stream_ports: scheme → (IP version, port) of each listening socket.
    """

    def __init__(self, observation_age_s: float) -> None:
        self.observations = Observations(observation_age_s)
        self.own_hosts: Collection[str] = ()
        self.datagram_ports: dict[int, int] = {}
        self._stream_ports: dict[str, list[tuple[int, int]]] = {}

    def interfaces_are(self, hosts: Collection[str]) -> bool:
        """Tell which addresses our interfaces have; `True`: the network changed, and all that was seen is forgotten."""
        if set(hosts) == set(self.own_hosts):
            return False
        is_change = bool(self.own_hosts)
        self.own_hosts = tuple(hosts)
        if is_change:
            self.observations.forget()
        return is_change

    def listens_on(self, bound: Sequence[Address]) -> None:
        """Tell where the listeners are bound; a wildcard stands for its family."""
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
        return [
            Address(scheme, c.host, port)
            for c in self.observations.hosts()
            for version, port in ports
            if version == (6 if ":" in c.host else 4)
        ]
