"""The one gate: every question of who may do what ends here.

All policies are asked; one deny wins over any number of allows; when all abstain the profile's default counts; a policy
that raises has denied.  Before `bind` (no policy is known yet) everything is denied.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ..clock import Clock
from ..errors import PeerkitError
from ..event import TrustRefused
from ..trust import Decision, Question, TrustPolicy, Verdict
from .event_bus import EventBus
from .plugin_call import call_plugin
from .tally import Tally

KEPT = 1_000  # decisions; ≈ 0.5 MiB, so that a flood of refused strangers fills no memory


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one policy says; `allow` is `None` when it abstains."""

    policy: str
    allow: bool | None
    reason: str


class TrustGate:
    """Args:
    events: told of every refusal.
    default_allow: the answer when every policy abstains.
    """

    def __init__(self, clock: Clock, events: EventBus, default_allow: bool) -> None:
        self._clock = clock
        self._events = events
        self._default_allow = default_allow
        self._policies: tuple[tuple[Tally | str, TrustPolicy], ...] | None = None
        self._log: deque[Decision] = deque(maxlen=KEPT)
        self.allowed = 0
        self.refused = 0

    def bind(self, policies: Sequence[tuple[Tally | str, TrustPolicy]]) -> None:
        """From now on ask these, given as (plugin, policy) in the order of asking."""
        self._policies = tuple(policies)

    def check(self, question: Question) -> Decision:
        """Decide, note the decision, tell a refusal."""
        allow, policy, reason = self._decide(question)
        decision = Decision(question, allow, policy, reason, self._clock.now())
        self._log.append(decision)
        if allow:
            self.allowed += 1
        else:
            self.refused += 1
            peer, address = question.peer_id, question.address
            self._events.emit(TrustRefused(question.action.value, str(peer or ""), str(address or ""), policy, reason))
        return decision

    def explain(self, question: Question) -> tuple[Decision, tuple[Opinion, ...]]:
        """What would be decided now and what each policy says; nothing is noted or told."""
        opinions = []
        for plugin, policy in self._policies or ():
            verdict = self._ask(plugin, policy, question)
            opinions.append(
                Opinion(policy.name, None, "abstains") if verdict is None else Opinion(policy.name, *verdict)
            )
        allow, name, reason = self._decide(question)
        return Decision(question, allow, name, reason, self._clock.now()), tuple(opinions)

    def decisions(self, limit: int = KEPT) -> tuple[Decision, ...]:
        """The most recent decisions, oldest first."""
        return tuple(self._log)[-limit:]

    def _decide(self, question: Question) -> tuple[bool, str, str]:
        if self._policies is None:
            return False, "default", "the node has not started"
        allowed: tuple[bool, str, str] | None = None
        for plugin, policy in self._policies:
            verdict = self._ask(plugin, policy, question)
            if verdict is None:
                continue
            if not verdict[0]:
                return False, policy.name, verdict[1]
            allowed = allowed or (True, policy.name, verdict[1])
        if allowed is not None:
            return allowed
        return (
            self._default_allow,
            "default",
            f"no policy decides and trust_default is {'allow' if self._default_allow else 'deny'}",
        )

    def _ask(self, plugin: Tally | str, policy: TrustPolicy, question: Question) -> tuple[bool, str] | None:
        where = f"trust policy {policy.name}"
        try:
            verdict: object = call_plugin(plugin, where, policy.decide, question)
        except PeerkitError as exc:
            return False, f"the policy failed: {exc}"
        if verdict is None:
            return None
        if not isinstance(verdict, Verdict) or not isinstance(verdict.allow, bool):
            wrong = f"the policy answered with {type(verdict).__name__} instead of a Verdict"
            if isinstance(plugin, Tally):
                plugin.failed(where, wrong)
            return False, wrong
        return verdict.allow, verdict.reason
