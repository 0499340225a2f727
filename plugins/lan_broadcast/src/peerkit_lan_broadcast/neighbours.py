"""Who was heard on the link and may be dialled; bounded, however many beacons are forged."""

from collections import OrderedDict
from collections.abc import Callable, Collection

from peerkit.address import Address
from peerkit.clock import Rng

MAX_CANDIDATES = 256  # ≈ 64 KiB: a flood from made-up addresses
MAX_PER_HOST = 8  # nodes on one machine: a flood of ports of one victim
MAX_DIALLED = 1_024  # ≈ 128 KiB
DIAL_APART_S = 10.0  # one dial per source: beacons must not make us scan a victim's ports
CANDIDATE_S = 900.0  # a neighbour with peers speaks every 10 min, ± a fifth


class Neighbours:
    """Args:
    rng: chooses who makes room, so that a flood does not push out everybody who was there before.
    """

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._heard: OrderedDict[Address, float] = OrderedDict()  # → when, last heard last
        self._dialled: OrderedDict[str, float] = OrderedDict()  # host → when

    def __len__(self) -> int:
        return len(self._heard)

    def heard(self, address: Address, now: float) -> bool:
        """Returns whether it is new here."""
        self._forget_old(now)
        if address in self._heard:
            self._heard[address] = now
            self._heard.move_to_end(address)
            return False
        same_host = [known for known in self._heard if known.host == address.host]
        if len(same_host) >= MAX_PER_HOST:
            del self._heard[self._rng.choice(same_host)]
        elif len(self._heard) >= MAX_CANDIDATES:
            del self._heard[self._rng.choice(list(self._heard))]
        self._heard[address] = now
        return True

    def take(self, count: int, now: float, is_known: Callable[[Address], bool]) -> Collection[Address]:
        """Up to `count` that may be dialled now, last heard first; each is taken once, until it is heard again.

        Args:
            is_known: whether we are connected with this one already.
        """
        self._forget_old(now)
        taken: list[Address] = []
        for address in [*reversed(self._heard)]:
            if len(taken) >= count:
                break
            if is_known(address):
                del self._heard[address]
            elif now - self._dialled.get(address.host, -DIAL_APART_S) >= DIAL_APART_S:
                del self._heard[address]
                self._dialled[address.host] = now
                self._dialled.move_to_end(address.host)
                taken.append(address)
        while len(self._dialled) > MAX_DIALLED:
            self._dialled.popitem(last=False)
        return taken

    def _forget_old(self, now: float) -> None:
        while self._heard and now - next(iter(self._heard.values())) > CANDIDATE_S:
            self._heard.popitem(last=False)
