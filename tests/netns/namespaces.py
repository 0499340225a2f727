"""Two network namespaces joined by a veth pair: a real wire between real processes that loses what a test wants."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.netns.space import Space, missing, run, spaces

__all__ = ["DEVICE", "Namespace", "missing", "namespace_pair"]

DEVICE = "wire0"


@dataclass(frozen=True, slots=True)
class Namespace(Space):
    """One end of the wire.

    Attributes:
        host: its address.
    """

    host: str

    def connect(self) -> None:
        # Otherwise a batch of 44 datagrams crosses the wire as one packet, and is lost as one.
        self.ip("link set lo up", f"link set {DEVICE} gso_max_segs 1 up")
        self.use_address(self.host)

    def use_address(self, *hosts: str) -> None:
        """Have these addresses, and no other."""
        added = [f"address add {host}/24 dev {DEVICE}" for host in hosts]
        self.ip(f"address flush dev {DEVICE}", *added)

    def rules(self, **chains: str) -> None:
        """Replace all packet rules.

        Args:
            chains: nft's words by hook: `input` is what arrives for a process here, `postrouting` what leaves.  The
                counter `hits` is there to be named.
        """
        texts = [f"chain {hook} {{ type filter hook {hook} priority 0\n{text}\n}}\n" for hook, text in chains.items()]
        self.nft(f"flush ruleset\ntable inet test {{\ncounter hits {{ }}\n{''.join(texts)}}}\n")

    def lose(self, per_mille: int) -> None:
        """Drop so many of 1,000 packets that arrive here, at random."""
        self.rules(input=f"numgen random mod 1000 < {per_mille} counter name hits drop")

    @property
    def hits(self) -> int:
        """Packets that the rules' counter has seen."""
        done = run(*self.command("nft", "-j", "list", "counter", "inet", "test", "hits"))
        (found,) = (entry["counter"] for entry in json.loads(done)["nftables"] if "counter" in entry)
        return int(found["packets"])


@contextmanager
def namespace_pair() -> Iterator[tuple[Namespace, Namespace]]:
    """Make both ends; they are gone afterwards, with every rule and address of theirs."""
    with spaces("a", "b") as both:
        a, b = (Namespace(space.name, f"10.78.0.{i}") for i, space in enumerate(both, 1))
        run("ip", "link", "add", DEVICE, "netns", a.name, "type", "veth", "peer", "name", DEVICE, "netns", b.name)
        for end in (a, b):
            end.connect()
        yield a, b
