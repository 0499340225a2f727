"""Which strategy comes next, when all is tried again, how much others may ask, and what is told of it."""

import random

import pytest
from peerkit_holepunch.allowances import MAX_PEERS, Introductions, Rates
from peerkit_holepunch.campaign import Campaign
from peerkit_holepunch.strategy import Nat, Strategy
from peerkit_holepunch.transcript import MAX_PEERS as MAX_TOLD
from peerkit_holepunch.transcript import MAX_TRIES, Transcript, Try, outcome_of

from peerkit.capabilities import NatFiltering, NatMapping
from peerkit.identity import PeerId

NONE_OFF: dict[Strategy, str] = {}
FIXED = Nat(NatMapping.ENDPOINT_INDEPENDENT, NatFiltering.ADDRESS_AND_PORT_DEPENDENT)
OPEN = Nat(NatMapping.ENDPOINT_INDEPENDENT, NatFiltering.ADDRESS_DEPENDENT)
SYMMETRIC = Nat(NatMapping.SYMMETRIC)
SEQUENTIAL = Nat(NatMapping.SYMMETRIC_SEQUENTIAL, port_step=1)
PLAIN, SWAPPED, STREAM, BIRTHDAY = Strategy


def tried(ours: Nat, theirs: Nat | None) -> list[Strategy]:
    campaign = Campaign(0.0, random.Random(1))
    found: list[Strategy] = []
    while (strategy := campaign.next_strategy(ours, NONE_OFF)) is not None:
        found.append(strategy)
        campaign.theirs = theirs  # the answer tells
    return found


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (Nat(), Nat(), [PLAIN, SWAPPED, STREAM]),
        (FIXED, FIXED, [PLAIN, SWAPPED, STREAM]),
        (FIXED, SYMMETRIC, [PLAIN, BIRTHDAY]),
        (SYMMETRIC, FIXED, [PLAIN, BIRTHDAY]),
        (FIXED, SEQUENTIAL, [PLAIN, SWAPPED, BIRTHDAY]),
        (OPEN, SYMMETRIC, [PLAIN, SWAPPED, STREAM]),
        (SYMMETRIC, SYMMETRIC, [PLAIN]),
        (FIXED, None, [PLAIN, STREAM]),
    ],
)
def test_only_what_can_help_is_tried_and_nothing_twice(ours: Nat, theirs: Nat | None, expected: list[Strategy]) -> None:
    assert tried(ours, theirs) == expected


def test_a_round_that_failed_is_followed_by_ever_longer_waits_until_the_network_changes() -> None:
    campaign = Campaign(0.0, random.Random(1))
    campaign.theirs = SYMMETRIC
    waits: list[float] = []
    for _ in range(4):
        assert campaign.next_strategy(SYMMETRIC, NONE_OFF) is PLAIN
        now = campaign.next_at
        reason = campaign.give_up(SYMMETRIC, now)
        waits.append(campaign.next_at - now)
    assert reason == "both routers map symmetrically: a relay is the only way"
    assert [round(wait / 60) for wait in waits] == pytest.approx([1, 5, 15, 60], rel=0.11)
    campaign.restart(20_000.0)
    assert campaign.next_at == 20_000.0 and campaign.theirs is None and campaign.next_strategy(FIXED, NONE_OFF) is PLAIN
    campaign.theirs = FIXED
    campaign.give_up(FIXED, 20_010.0)
    assert 20_060.0 < campaign.next_at < 20_080.0


def test_who_could_not_be_introduced_is_asked_for_again_soon() -> None:
    """A peer whose router restarted is deaf until it says something."""
    campaign = Campaign(0.0, random.Random(1))
    waits: list[float] = []
    for _ in range(5):
        now = campaign.next_at
        assert campaign.give_up(FIXED, now) == "no common peer could introduce us"
        waits.append(campaign.next_at - now)
    assert waits == pytest.approx([5, 15, 60, 300, 300], rel=0.11)


def test_what_was_left_out_is_told_with_its_reason() -> None:
    campaign = Campaign(0.0, random.Random(1))
    campaign.theirs = SYMMETRIC
    off = {BIRTHDAY: "switched off by a setting"}
    campaign.next_strategy(FIXED, off)
    left_out = " ".join(campaign.untried(FIXED, off))
    assert "cannot be predicted" in left_out and "birthday probing: switched off by a setting" in left_out


def test_a_rate_holds_for_each_and_in_all() -> None:
    rates = Rates(60.0, 3.0, 120.0)
    assert [rates.allow("a", 0.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert rates.allow("b", 0.0) and rates.allow("a", 1.0) and not rates.allow("a", 1.0)
    assert sum(rates.allow(key, 1.0) for key in range(1_000)) < 120
    for key in range(3 * MAX_PEERS):
        rates.allow(key, 2.0)
    assert len(rates._buckets) == MAX_PEERS


def test_a_coordinator_makes_a_bounded_number_of_introductions() -> None:
    introductions = Introductions(120.0)
    under_way = [introductions.begin("a", f"t{i}", 0.0) for i in range(6)]
    assert under_way[:4] == [""] * 4 and "under way" in under_way[4]
    for _ in range(4):
        introductions.end("a")
    assert not introductions.begin("a", "t", 0.0)
    introductions.end("a")
    begun = 0
    for i in range(60):  # many askers, one target
        if not introductions.begin(f"b{i}", "victim", 0.0):
            introductions.end(f"b{i}")
            begun += 1
    assert begun == 16
    for i in range(8):  # one asker, many targets
        assert not introductions.begin("c", f"u{i}", 0.0)
        introductions.end("c")
    assert "last minute" in introductions.begin("c", "u", 0.0)


def test_the_transcript_says_what_was_tried_and_why_it_failed() -> None:
    transcript = Transcript()
    peer = PeerId(b"p" * 32)
    transcript.add(peer, Try("probes from both sides at once", 5.0, "pcoord", outcome_of(28, 0, 0), 28))
    (finding,) = transcript.findings()
    assert finding.verdict == "warning" and "none of our 28 probes was answered" in finding.text
    transcript.conclude(peer, "both routers map symmetrically")
    assert transcript.findings()[0].text == "over a relay: both routers map symmetrically"
    transcript.add(peer, Try("birthday probing", 9.0, "pcoord", "", 300, 1, 1))
    (finding,) = transcript.findings()
    assert finding.verdict == "ok" and finding.text == "reached directly by birthday probing"
    tries = finding.details["tries"]
    assert isinstance(tries, list) and [each["outcome"] != "direct" for each in tries] == [True, False]


def test_the_transcript_is_bounded() -> None:
    transcript = Transcript()
    for i in range(2 * MAX_TOLD):
        for _ in range(2 * MAX_TRIES):
            transcript.add(PeerId(bytes([i]) * 32), Try("x", 0.0, "", "no"))
    assert len(transcript.findings()) == MAX_TOLD
    assert len(transcript.tries(PeerId(bytes([2 * MAX_TOLD - 1]) * 32))) == MAX_TRIES
    assert not transcript.tries(PeerId(bytes(32)))
