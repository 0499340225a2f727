"""Which dial-backs to ask for next, and what those that were tried say of our addresses.  Pure.

A subject is what is tested: the shared UDP socket, whichever external address each observer sees it at (behind a
symmetric mapping each sees another one), or one address of its own.  For each subject and origin a peer of another
network is asked at a time, until the networks agree; what is decided is tried again after `reverify_s`, and what is not
after `retry_s`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from peerkit.address import Address
from peerkit.capabilities import NatFiltering
from peerkit.clock import Rng
from peerkit.identity import PeerId

from .trials import MIN_FAILURES, Origin, Trial, Trials, majority

ENOUGH_NETWORKS = 5  # guess; fewer decide too, but others are asked as long as there are any
MAX_SUBJECTS = 8  # addresses come from peers' words and from routers: bounds what one round asks of others
_BOTH, _ONE = (Origin.OTHER_PORT, Origin.OTHER_ADDRESS), (Origin.OTHER_PORT,)


@dataclass(frozen=True, slots=True)
class Subject:
    """Attributes:
    addresses: the best first.
    seen_by: the one that a given peer sees, which is asked for there.
    """

    addresses: tuple[Address, ...]
    seen_by: Mapping[PeerId, Address] = field(default_factory=dict)

    @property
    def origins(self) -> tuple[Origin, ...]:
        return _BOTH if self.addresses[0].scheme == "udp" else _ONE

    def address_for(self, peer: PeerId) -> Address:
        return self.seen_by.get(peer, self.addresses[0])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A peer that could be asked, and what it counts as."""

    peer: PeerId
    network: str


@dataclass(frozen=True, slots=True)
class Question:
    """Ask this peer to send to this address from there."""

    peer: PeerId
    network: str
    address: Address
    origin: Origin


class Verification:
    """Attributes:
    trials: what was tried; told by `tried`.
    notes: the last reason of each server that would or could not try.
    """

    def __init__(self, rng: Rng, retry_s: float, reverify_s: float) -> None:
        self._rng = rng
        self._retry_s = retry_s
        self._reverify_s = reverify_s
        self._again_s = reverify_s
        self._resting: dict[tuple[PeerId, Origin], float] = {}
        self.trials = Trials()
        self.notes: dict[str, str] = {}

    def next_questions(self, subjects: Sequence[Subject], peers: Sequence[Candidate], now: float) -> list[Question]:
        """At most one for each subject and origin."""
        subjects = subjects[:MAX_SUBJECTS]
        self._forget_all_but(subjects)
        self.trials.expire(now - 3 * self._reverify_s)
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        questions: list[Question] = []
        for subject in subjects:
            for origin in subject.origins:
                if self._is_settled(subject, origin, now):
                    continue
                since = now - self._retry_s
                tried = {t.network for t in self.trials.of(subject.addresses, origin) if t.at > since}
                fit = [p for p in peers if p.network not in tried and (p.peer, origin) not in self._resting]
                if fit:
                    chosen = self._rng.choice(fit)
                    address = subject.address_for(chosen.peer)
                    questions.append(Question(chosen.peer, chosen.network, address, origin))
        return questions

    def answered(self, question: Question, arrived: bool | None, reason: str, now: float) -> None:
        """What came of a question; `None`: the server did not try, and is left in peace for a while."""
        server = question.peer.short
        if arrived is None:
            self._resting[question.peer, question.origin] = now + self._retry_s
            self.notes[server] = reason
            if len(self.notes) > MAX_SUBJECTS:
                del self.notes[next(iter(self.notes))]
            return
        self.notes.pop(server, None)
        self._again_s = self._reverify_s * self._rng.uniform(0.7, 1.3)
        address, origin = question.address, question.origin
        self.trials.add(Trial(server, question.network, address, origin, arrived, now, reason))

    def forget(self) -> None:
        """Our network changed."""
        self.trials.forget()
        self._resting.clear()
        self.notes.clear()

    # -- what it says --------------------------------------------------------------------------------------------

    def reached(self, addresses: Collection[Address], own_hosts: Collection[str]) -> bool | None:
        """Whether strangers reach us at these addresses of one subject."""
        from_port = majority(self.trials.of(addresses, Origin.OTHER_PORT))
        if not any(address.scheme == "udp" for address in addresses):
            return from_port
        is_own = any(address.host in own_hosts for address in addresses)
        # Hardly any firewall filters by address alone: where no router translates, that takes one word more.
        least = MIN_FAILURES + 1 if is_own and from_port else MIN_FAILURES
        from_address = majority(self.trials.of(addresses, Origin.OTHER_ADDRESS), least)
        if from_address is not None or from_port is False:
            return bool(from_address)
        # A router may let in every port of an IP that we sent to: of strangers that says nothing.
        return from_port if is_own else None

    def is_public(self, subjects: Iterable[Subject], own_hosts: Collection[str]) -> bool | None:
        """Whether strangers reach us at all.  What nobody could try (no peer has that transport) does not count."""
        tried = {trial.address for trial in self.trials.all()}
        verdicts = [self.reached(s.addresses, own_hosts) for s in subjects if not tried.isdisjoint(s.addresses)]
        if True in verdicts:
            return True
        return False if verdicts and None not in verdicts else None

    @property
    def filtering(self) -> NatFiltering:
        return self.trials.filtering()

    # -- inside --------------------------------------------------------------------------------------------------

    def _is_settled(self, subject: Subject, origin: Origin, now: float) -> bool:
        """Decided, and not so long ago.  To be found closed costs a node its place among the others, so that takes more
        networks than lie."""
        trials = self.trials.of(subject.addresses, origin)
        verdict = majority(trials)
        if verdict is None or not any(t.at > now - self._again_s for t in trials):
            return False
        return verdict or len({t.network for t in trials}) >= ENOUGH_NETWORKS

    def _forget_all_but(self, subjects: Sequence[Subject]) -> None:
        self.trials.keep_only({address for subject in subjects for address in subject.addresses})
