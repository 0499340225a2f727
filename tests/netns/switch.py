"""Hosts on one switch: network namespaces whose devices meet in a bridge.  See `space` for what it needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.netns.namespaces import DEVICE, Namespace
from tests.netns.space import Space, run, spaces


@dataclass(frozen=True, slots=True)
class Switch:
    """Attributes:
    hosts: `10.79.0.1` and so on, each with its device up.
    """

    middle: Space
    hosts: tuple[Namespace, ...]

    def unplug(self, number: int) -> None:
        """Pull a host's cable out."""
        self.middle.ip(f"link set port{number} down")


@contextmanager
def switch(hosts: int) -> Iterator[Switch]:
    """Make it with so many hosts; all is gone afterwards."""
    with spaces("switch", *(f"h{i}" for i in range(hosts))) as (middle, *others):
        middle.ip("link add lan type bridge stp_state 0 mcast_snooping 0", "link set lan up")
        ends = tuple(Namespace(space.name, f"10.79.0.{i}") for i, space in enumerate(others, 1))
        for i, end in enumerate(ends):
            port = f"port{i}"
            run("ip", *f"link add {DEVICE} netns {end.name} type veth peer name {port} netns {middle.name}".split())
            middle.ip(f"link set {port} master lan up")
            end.connect()
        yield Switch(middle, ends)
