"""Dial-backs that were tried, and what they prove.

A dial-back that arrived was seen with our own eyes; one that did not may be a lie of the server.  So the newest word of
each network (`prefixes.py`) counts, the majority decides, and one "no" alone decides nothing.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from peerkit.address import Address
from peerkit.capabilities import NatFiltering

MAX_TRIALS = 256  # addresses come from peers' words: bounds memory, the oldest goes
MIN_FAILURES = 2  # networks


class Origin(Enum):
    """From where the server sends.  Values are those of the wire."""

    OTHER_PORT = 1  # its own IP, a fresh port
    OTHER_ADDRESS = 2  # through one of its peers, at another IP


@dataclass(frozen=True, slots=True)
class Trial:
    """One dial-back.

    Attributes:
        network: of the server.
        address: of ours that was tried.
        arrived: whether it did.
        reason: why not, for a person.
    """

    server: str
    network: str
    address: Address
    origin: Origin
    arrived: bool
    at: float
    reason: str = ""


class Trials:
    """The newest trial of each (network, address, origin)."""

    def __init__(self) -> None:
        self._trials: OrderedDict[tuple[str, Address, Origin], Trial] = OrderedDict()

    def __len__(self) -> int:
        return len(self._trials)

    def add(self, trial: Trial) -> None:
        key = trial.network, trial.address, trial.origin
        self._trials.pop(key, None)
        self._trials[key] = trial
        if len(self._trials) > MAX_TRIALS:
            self._trials.popitem(last=False)

    def forget(self) -> None:
        """Our network changed."""
        self._trials.clear()

    def expire(self, since: float) -> None:
        """Forget what is older than `since`."""
        for key in [key for key, trial in self._trials.items() if trial.at < since]:
            del self._trials[key]

    def all(self) -> tuple[Trial, ...]:
        return tuple(self._trials.values())

    def keep_only(self, addresses: Collection[Address]) -> None:
        """Forget what was tried at others."""
        for key in [key for key, trial in self._trials.items() if trial.address not in addresses]:
            del self._trials[key]

    def of(self, addresses: Collection[Address], origin: Origin) -> list[Trial]:
        return [t for t in self._trials.values() if t.origin is origin and t.address in addresses]

    def filtering(self) -> NatFiltering:
        """What the router lets in to the UDP socket, at whichever external port."""
        of_origin: defaultdict[Origin, list[Trial]] = defaultdict(list)
        for trial in self._trials.values():
            if trial.address.scheme == "udp":
                of_origin[trial.origin].append(trial)
        from_address, from_port = majority(of_origin[Origin.OTHER_ADDRESS]), majority(of_origin[Origin.OTHER_PORT])
        if from_address:
            return NatFiltering.ENDPOINT_INDEPENDENT
        if from_port is False:
            return NatFiltering.ADDRESS_AND_PORT_DEPENDENT
        if from_port and from_address is False:
            return NatFiltering.ADDRESS_DEPENDENT
        return NatFiltering.UNKNOWN


def majority(trials: Iterable[Trial], least_failures: int = MIN_FAILURES) -> bool | None:
    """Whether it arrives: one vote of each network, in which it arrived if any did.  `None`: nobody tried, a tie, or
    fewer failures than that."""
    votes: dict[str, bool] = {}
    for trial in trials:
        votes[trial.network] = votes.get(trial.network, False) or trial.arrived
    arrived = sum(votes.values())
    failed = len(votes) - arrived
    if arrived > failed:
        return True
    return False if failed > arrived and failed >= least_failures else None
