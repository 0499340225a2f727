"""What is tried with one peer, in which order, and when again.

due ──strategies in order, none twice──▶ moved
 ▲             │ all failed            │ nobody introduced us
 ├─1, 5, 15, 60 min, or our addresses changed
 └─5, 15, 60 s, 5 min ─────────────────┘
"""

from collections.abc import Mapping

from peerkit.clock import Rng

from .strategy import ORDER, Nat, Strategy, verdict, why_not

# The first: Linux forgets after 30 s of silence (`nf_conntrack_udp_timeout`) a probe that came too early and took our
# port.  The others are guesses: routers do not change often; a network that does change tells us.
BACK_OFF_S = (60.0, 300.0, 900.0, 3_600.0)
UNMET_BACK_OFF_S = (5.0, 15.0, 60.0, 300.0)  # guess: a peer whose router restarted is deaf until it says something
JITTER = 0.1


class Campaign:
    """One per peer that we reach over a relay.

    Attributes:
        theirs: what the peer told of its router, `None` before it told.
        attempts: made in this round.
        began_at: when the round began.
        next_at: when the next attempt is due.
    """

    def __init__(self, now: float, rng: Rng) -> None:
        self._rng = rng
        self._tried: set[Strategy] = set()
        self._rounds = 0
        self._unmet = 0  # rounds in a row in which nobody introduced us
        self.theirs: Nat | None = None
        self.attempts = 0
        self.began_at = self.next_at = now

    def next_strategy(self, ours: Nat, off: Mapping[Strategy, str]) -> Strategy | None:
        """Counts as tried.  `None`: nothing is left that could help; call `give_up`.

        Args:
            off: what cannot be tried now, and why.
        """
        for strategy in ORDER:
            if strategy not in off and strategy not in self._tried and not why_not(strategy, ours, self.theirs):
                self._tried.add(strategy)
                self.attempts += 1
                return strategy
        return None

    def untried(self, ours: Nat, off: Mapping[Strategy, str]) -> list[str]:
        """What was left out, and why."""
        return [
            f"{strategy.words}: {off.get(strategy) or why_not(strategy, ours, self.theirs)}"
            for strategy in ORDER
            if strategy not in self._tried
        ]

    def give_up(self, ours: Nat, now: float) -> str:
        """All failed: wait.  Returns why, as far as it can be told."""
        if self.theirs is None:
            wait_s = UNMET_BACK_OFF_S[min(self._unmet, len(UNMET_BACK_OFF_S) - 1)]
            self._unmet += 1
        else:
            wait_s = BACK_OFF_S[min(self._rounds, len(BACK_OFF_S) - 1)]
            self._rounds += 1
            self._unmet = 0
        self.began_at = self.next_at = now + wait_s * self._rng.uniform(1 - JITTER, 1 + JITTER)
        self._tried.clear()
        self.attempts = 0
        return verdict(ours, self.theirs)

    def restart(self, due_at: float) -> None:
        """The network or the session is another: what failed may work, and what the peer told may be old."""
        self._rounds = self._unmet = 0
        self._tried.clear()
        self.attempts = 0
        self.theirs = None
        self.began_at = self.next_at = due_at
