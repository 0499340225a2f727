"""The checks of trust policies: an honest one passes, and each finds the policy that breaks its promise."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel.tests.testing.sabotage import assert_all_sabotaged, assert_caught, cases
from peerkit.errors import NotFound
from peerkit.identity import Identity
from peerkit.testing.trust_checks import TRUST_POLICY_CHECKS, TrustBed, TrustCheck
from peerkit.trust import Action, Question, Verdict

FOE = Identity(b"\x01" * 32).peer_id
DENIED = Question(Action.ACCEPT_PEER, FOE)


class Honest:
    """Denies one peer, and everybody until its rules are read."""

    name = "honest"

    def __init__(self, is_ready: bool = True) -> None:
        self.is_ready = is_ready

    def decide(self, question: Question) -> Any:
        if not self.is_ready:
            return Verdict(False, "the rules are not read yet")
        return Verdict(False, "it is the foe") if question.peer_id == FOE else None


def bed(policy: type[Honest]) -> Callable[[], TrustBed]:
    return lambda: TrustBed(policy(), [DENIED], policy(is_ready=False))


@pytest.mark.parametrize("check", TRUST_POLICY_CHECKS, ids=lambda check: check.__name__)
def test_an_honest_one_passes(check: TrustCheck) -> None:
    check(bed(Honest)())


class Assumes(Honest):
    def decide(self, question: Question) -> Any:
        return Verdict(question.peer_id.short != FOE.short, "by its id")  # type: ignore[union-attr]


class Throws(Honest):
    def decide(self, question: Question) -> Any:
        raise NotFound("no rule")


class Async(Honest):
    async def decide(self, question: Question) -> Any:
        return None


class Boolean(Honest):
    def decide(self, question: Question) -> Any:
        return question.peer_id != FOE


class Mute(Honest):
    def decide(self, question: Question) -> Any:
        return Verdict(True, "")


class Echoes(Honest):
    def decide(self, question: Question) -> Any:
        return Verdict(True, f"{question.address}\n{question.protocol}")


class Counts(Honest):
    def __init__(self, is_ready: bool = True) -> None:
        super().__init__(is_ready)
        self.asked = itertools.count()

    def decide(self, question: Question) -> Any:
        return Verdict(next(self.asked) < 700, "so many and no more")


class Reads(Honest):
    def decide(self, question: Question) -> Any:
        return None if Path(__file__).read_bytes() else Verdict(False, "there are no rules")


class Sleeps(Honest):
    def decide(self, question: Question) -> Any:
        time.sleep(1e-6)


class Ponders(Honest):
    def decide(self, question: Question) -> Any:
        until = time.thread_time() + 0.0015
        while time.thread_time() < until:
            pass


class Forgets(Honest):
    def decide(self, question: Question) -> Any:
        return None


class Open(Honest):
    def decide(self, question: Question) -> Any:
        return super().decide(question) if self.is_ready else None


SABOTEURS = {
    "every_question_is_answered": [
        (bed(Assumes), r"of the question \(dial\): decide raised AttributeError"),
        (bed(Throws), r"no rule; to the gate that is a denial, with no reason"),
        (bed(Async), "decide must be a plain function"),
        (bed(Boolean), "decide returned bool; it must return a Verdict"),
        (bed(Mute), "a verdict needs a reason"),
        (bed(Echoes), "a reason is one line"),
    ],
    "the_same_question_gets_the_same_answer": [(bed(Counts), r"asked again, .* instead of Verdict\(allow=True")],
    "the_answer_comes_from_memory": [
        (bed(Reads), r"decide blocks the node: it calls open\("),
        (bed(Sleeps), r"decide blocks the node: it calls time.sleep\("),
        (bed(Ponders), r"decide takes [1-9]\.\d ms; the limit is 1 ms"),
    ],
    "who_is_denied_is_told_why": [(bed(Forgets), r"\(accept_peer, p.*got None and must be denied")],
    "before_it_is_ready_it_denies": [(bed(Open), "before its start the policy answers .* it must deny until it knows")],
}


def test_each_check_has_a_saboteur() -> None:
    assert_all_sabotaged(TRUST_POLICY_CHECKS, SABOTEURS)


@pytest.mark.parametrize(("name", "make", "sentence"), cases(SABOTEURS))
def test_the_broken_one_is_found(name: str, make: Callable[[], TrustBed], sentence: str) -> None:
    assert_caught(TRUST_POLICY_CHECKS, name, make, sentence)
