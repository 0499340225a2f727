"""What every trust policy must do (`peerkit.trust`).

    @pytest.mark.parametrize("check", TRUST_POLICY_CHECKS, ids=lambda check: check.__name__)
    def test_it_does_what_every_policy_must(check):
        check(TrustBed(policy, denies=[Question(Action.ACCEPT_PEER, somebody)]))

A check returns, or raises `AssertionError` with the promise that was broken.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import inspect
import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..address import Address
from ..errors import PeerkitError
from ..identity import Identity, PeerId
from ..protocol import MAX_PROTOCOL_ID_CHARS
from ..trust import Action, Question, TrustPolicy, Verdict
from .plugin_watch import blocking_calls, call_now

MAX_QUESTION_S = 0.001  # of processor time, on average; the gate asks on the accept path
MAX_REASON_CHARS = 500  # it goes into events, logs and an answer to the peer
ROUNDS = 3  # of the measurement; the quickest counts
SHARE = 7  # every seventh question is measured: all actions, peers and addresses are among them


@dataclass(frozen=True, slots=True)
class TrustBed:
    """Attributes:
    policy: of a plugin that has started.
    denies: questions that it must answer with a denial; best one for each of its rules.
    unready: the policy of a plugin whose `start` was not awaited yet, with the same rules; `None` where the plugin has
        no `start`.
    """

    policy: TrustPolicy
    denies: Sequence[Question] = ()
    unready: TrustPolicy | None = None


TrustCheck = Callable[[TrustBed], None]


def every_question_is_answered(bed: TrustBed) -> None:
    """Whoever asks, from wherever, and whatever is unknown."""
    for question in questions():
        _ask(bed.policy, question)


def the_same_question_gets_the_same_answer(bed: TrustBed) -> None:
    """In whatever order, and however often: asking is no act.  `peerkit trust explain` asks too."""
    asked = questions()
    first = {question: _ask(bed.policy, question) for question in asked}
    random.Random(1).shuffle(asked)
    for question in asked:
        again = _ask(bed.policy, question)
        assert again == first[question], f"asked again, {_text(question)} got {again} instead of {first[question]}"


def the_answer_comes_from_memory(bed: TrustBed) -> None:
    """No disk, no network, no sleep, and quickly."""
    asked = questions()[::SHARE]
    for question in asked:  # what is imported or cached at the first question may be
        _ask(bed.policy, question)
    with blocking_calls() as found:
        for question in asked:
            _ask(bed.policy, question)
    assert not found, f"decide blocks the node: it calls {found[0]}"
    for _ in range(ROUNDS):
        mean_s = _seconds(bed.policy, asked) / len(asked)
        if mean_s <= MAX_QUESTION_S:
            return
    raise AssertionError(f"decide takes {mean_s * 1000:.1f} ms; the limit is {MAX_QUESTION_S * 1000:g} ms")


def who_is_denied_is_told_why(bed: TrustBed) -> None:
    for question in bed.denies:
        verdict = _ask(bed.policy, question)
        assert verdict is not None and not verdict.allow, f"{_text(question)} got {verdict} and must be denied"


def before_it_is_ready_it_denies(bed: TrustBed) -> None:
    """Fail closed: who is denied later must not slip in before the rules are read."""
    if bed.unready is None:
        return
    for question in bed.denies:
        verdict = _ask(bed.unready, question)
        assert verdict is not None and not verdict.allow, (
            f"before its start the policy answers {_text(question)} with {verdict}: it must deny until it knows"
        )


def questions() -> list[Question]:
    """Every action with all that may be known and unknown of a stranger."""
    rng = random.Random(7)
    peer, relay = (Identity(rng.randbytes(32)).peer_id for _ in range(2))
    peers = (None, peer, PeerId(bytes(32)), PeerId(b"\xff" * 32))
    addresses = (
        None,
        Address("tcp", "192.0.2.1", 4433),
        Address("udp", "2001:db8::1", 65_535, peer),
        Address("udp", "::ffff:192.0.2.1", 1),
        Address("udp", "fe80::1%eth0", 1),
        Address("tcp", "x" * 253, 0),
        Address("carrier", "b\u00fccher.example", 1),
        Address("relay", "192.0.2.1", 1, peer, relay),
    )
    protocols = (None, "example.org/echo", "\u00fc" * MAX_PROTOCOL_ID_CHARS)
    return [Question(*fields) for fields in itertools.product(Action, peers, addresses, protocols)]


def _ask(policy: TrustPolicy, question: Question) -> Verdict | None:
    try:
        verdict: object = call_now("decide", policy.decide, question)
    except (PeerkitError, AssertionError) as exc:
        raise AssertionError(f"of {_text(question)}: {exc}; to the gate that is a denial, with no reason") from exc
    if inspect.iscoroutine(verdict):
        verdict.close()
        raise AssertionError("decide must be a plain function: the gate does not await it")
    assert verdict is None or isinstance(verdict, Verdict), (
        f"decide returned {type(verdict).__name__}; it must return a Verdict, or None to abstain"
    )
    if verdict is not None:
        allow: object = verdict.allow
        assert isinstance(allow, bool), f"Verdict.allow must be a bool, not {allow!r}"
        reason = verdict.reason
        assert reason.strip(), "a verdict needs a reason that a person can read"
        assert reason.isprintable() and len(reason) <= MAX_REASON_CHARS, (
            f"a reason is one line of at most {MAX_REASON_CHARS} printable characters, not {reason[:80]!r}"
        )
    return verdict


def _seconds(policy: TrustPolicy, asked: Sequence[Question]) -> float:
    began = time.thread_time()
    for question in asked:
        policy.decide(question)
    return time.thread_time() - began


def _text(question: Question) -> str:
    known = [question.action.value, question.peer_id and question.peer_id.short, question.address, question.protocol]
    return f"the question ({', '.join(str(each)[:60] for each in known if each is not None)})"


TRUST_POLICY_CHECKS: tuple[TrustCheck, ...] = (
    every_question_is_answered,
    the_same_question_gets_the_same_answer,
    the_answer_comes_from_memory,
    who_is_denied_is_told_why,
    before_it_is_ready_it_denies,
)
