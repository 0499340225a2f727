from collections.abc import Callable

import pytest

from kernel.tests.runtime.nodeless import IDENTITY, Parts, parts
from peerkit._runtime.trust_gate import KEPT, TrustGate
from peerkit.event import TrustRefused
from peerkit.testing import run
from peerkit.trust import Action, Question, TrustPolicy, Verdict

QUESTION = Question(Action.ACCEPT_PEER, IDENTITY.peer_id)


class Policy:
    def __init__(self, name: str, answer: Callable[[Question], Verdict | None]) -> None:
        self.name = name
        self._answer = answer

    def decide(self, question: Question) -> Verdict | None:
        return self._answer(question)


ALLOW = Policy("allows", lambda _: Verdict(True, "a friend"))
DENY = Policy("denies", lambda _: Verdict(False, "a foe"))
ABSTAIN = Policy("abstains", lambda _: None)


def raises(_: Question) -> Verdict | None:
    raise KeyError("bug")


FAIL = Policy("fails", raises)
WRONG = Policy("wrong", lambda _: True)  # type: ignore[arg-type,return-value]  # the mistake under test


def gate(it: Parts, *policies: TrustPolicy, default_allow: bool = True) -> TrustGate:
    made = TrustGate(it.clock, it.events, default_allow)
    made.bind([("plugin", policy) for policy in policies])
    return made


@pytest.mark.parametrize(
    ("policies", "default_allow", "allow", "by"),
    [
        ([], True, True, "default"),
        ([], False, False, "default"),
        ([ABSTAIN], False, False, "default"),
        ([ABSTAIN, ALLOW], False, True, "allows"),
        ([ALLOW, DENY], True, False, "denies"),
        ([DENY, ALLOW], True, False, "denies"),
        ([ALLOW, FAIL], True, False, "fails"),
        ([ALLOW, WRONG], True, False, "wrong"),
    ],
)
def test_deny_wins_then_allow_then_the_default(
    policies: list[TrustPolicy], default_allow: bool, allow: bool, by: str
) -> None:
    async def main() -> None:
        it = parts()
        made = gate(it, *policies, default_allow=default_allow)
        decision = made.check(QUESTION)
        assert (decision.allow, decision.policy) == (allow, by)
        assert made.decisions() == (decision,)
        told = [e.event for e in it.events.recent() if isinstance(e.event, TrustRefused)]
        assert [e.policy for e in told] == ([] if allow else [by])
        assert (made.allowed, made.refused) == ((1, 0) if allow else (0, 1))

    run(main())


def test_everything_is_denied_before_the_policies_are_known() -> None:
    async def main() -> None:
        it = parts()
        assert not TrustGate(it.clock, it.events, default_allow=True).check(QUESTION).allow

    run(main())


def test_explanation_lists_every_opinion_and_notes_nothing() -> None:
    async def main() -> None:
        it = parts()
        made = gate(it, ALLOW, ABSTAIN, DENY)
        decision, opinions = made.explain(QUESTION)
        assert not decision.allow
        assert [(o.policy, o.allow) for o in opinions] == [("allows", True), ("abstains", None), ("denies", False)]
        assert made.decisions() == ()
        assert it.events.recent() == ()

    run(main())


def test_flood_of_refusals_is_kept_in_bounds() -> None:
    async def main() -> None:
        made = gate(parts(), DENY)
        for _ in range(KEPT + 10):
            made.check(QUESTION)
        assert len(made.decisions()) == KEPT
        assert made.refused == KEPT + 10
        assert len(made.decisions(5)) == 5

    run(main())
