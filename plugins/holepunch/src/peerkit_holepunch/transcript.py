"""What was tried with each peer and what came of it, for `peerkit doctor`.  Bounded; the oldest goes."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from peerkit.capabilities import Finding
from peerkit.identity import PeerId

MAX_PEERS = 64
MAX_TRIES = 8  # of each peer


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt.

    Attributes:
        strategy: in words.
        began_at: unix time.
        coordinator: who introduced us, shortened; empty when nobody did.
        outcome: one clause; empty when it led to a direct path.
        sent, heard, answered: our probes, the peer's that came in, answers to ours.
    """

    strategy: str
    began_at: float
    coordinator: str
    outcome: str
    sent: int = 0
    heard: int = 0
    answered: int = 0


def outcome_of(sent: int, heard: int, answered: int) -> str:
    """Why a punch whose probes these are led to no direct path."""
    if answered:
        return "probes passed both ways, but the session did not move"
    if heard:
        return f"{heard} probes of the peer came in and none of our {sent} was answered: its router lets ours not in"
    return f"none of our {sent} probes was answered, and none of the peer's came in"


class Transcript:
    def __init__(self) -> None:
        self._tries: OrderedDict[PeerId, deque[Try]] = OrderedDict()
        self._verdicts: dict[PeerId, str] = {}

    def add(self, peer_id: PeerId, attempt: Try) -> None:
        self._tries_of(peer_id).append(attempt)
        self._verdicts.pop(peer_id, None)

    def _tries_of(self, peer_id: PeerId) -> "deque[Try]":
        tries = self._tries.pop(peer_id, None) or deque(maxlen=MAX_TRIES)
        self._tries[peer_id] = tries
        if len(self._tries) > MAX_PEERS:
            gone, _ = self._tries.popitem(last=False)
            self._verdicts.pop(gone, None)
        return tries

    def conclude(self, peer_id: PeerId, why: str) -> None:
        """All that could be tried failed."""
        self._tries_of(peer_id)
        self._verdicts[peer_id] = why

    def tries(self, peer_id: PeerId) -> Sequence[Try]:
        return tuple(self._tries.get(peer_id, ()))

    def findings(self) -> list[Finding]:
        return [self._finding(peer_id, tries) for peer_id, tries in self._tries.items()]

    def _finding(self, peer_id: PeerId, tries: "deque[Try]") -> Finding:
        is_direct = bool(tries) and not tries[-1].outcome
        if peer_id in self._verdicts:
            text = f"over a relay: {self._verdicts[peer_id]}"
        elif is_direct:
            text = f"reached directly by {tries[-1].strategy}"
        else:
            text = f"over a relay so far; the last try, {tries[-1].strategy}: {tries[-1].outcome}"
        details = {
            "peer": str(peer_id),
            "tries": [
                {
                    "strategy": each.strategy,
                    "at": each.began_at,
                    "coordinator": each.coordinator,
                    "outcome": each.outcome or "direct",
                    "probes_sent": each.sent,
                    "probes_heard": each.heard,
                    "probes_answered": each.answered,
                }
                for each in tries
            ],
        }
        return Finding(f"peer {peer_id.short}", "ok" if is_direct else "warning", text, details)
