import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerkit.errors import LimitExceeded
from peerkit.limits import Budget, TokenBucket


def test_reservation_counts_in_every_scope_above() -> None:
    node = Budget("node", 100)
    protocol = node.child("protocol echo", 80)
    session = protocol.child("session p1", 50)
    session.reserve(30)
    protocol.reserve(20)
    assert (node.used, protocol.used, session.used) == (50, 50, 30)
    session.release(30)
    assert (node.used, protocol.used, session.used, node.peak) == (20, 20, 0, 50)


def test_refused_reservation_takes_nothing_anywhere_and_names_the_scope_that_is_full() -> None:
    node = Budget("node", 100)
    first, second = node.child("session a", 90), node.child("session b", 90)
    first.reserve(80)
    with pytest.raises(LimitExceeded, match="node may hold 100 bytes: 80 are in use, 30 more wanted"):
        second.reserve(30)
    assert (node.used, second.used, node.refused, second.refused) == (80, 0, 1, 0)
    with pytest.raises(LimitExceeded, match="session a may hold 90 bytes"):
        first.reserve(20)
    assert second.free == 20


def test_closed_scope_gives_everything_back_and_takes_nothing_more() -> None:
    node = Budget("node", 100)
    session = node.child("session a", 100)
    stream = session.child("stream 1", 100)
    stream.reserve(70)
    session.reserve(10)
    session.close()
    session.close()
    stream.release(70)  # late: its owner did not know yet
    assert node.used == 0
    assert stream.free == 0
    for scope in (session, stream):
        with pytest.raises(LimitExceeded, match="is closed"):
            scope.reserve(1)
    assert list(node.counters()) == [("node", 0, 100, 80, 0)]


def test_hold_gives_back_when_the_block_fails() -> None:
    budget = Budget("node", 10)
    with pytest.raises(KeyError), budget.hold(10):
        raise KeyError
    assert budget.used == 0


def test_misuse_is_refused() -> None:
    budget = Budget("node", 10)
    budget.reserve(3)
    with pytest.raises(ValueError):
        budget.release(4)
    with pytest.raises(ValueError):
        budget.reserve(-1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=60))
def test_no_sequence_of_reservations_exceeds_any_limit(steps: list[tuple[int, int]]) -> None:
    node = Budget("node", 100)
    left = node.child("left", 70)
    scopes = [node, left, left.child("left 1", 40), left.child("left 2", 50)]
    held = [0] * 4
    for which, amount in steps:
        try:
            scopes[which].reserve(amount)
            held[which] += amount
        except LimitExceeded:
            scopes[which].release(min(amount, held[which]))
            held[which] -= min(amount, held[which])
        assert all(0 <= scope.used <= scope.limit for scope in scopes)
        assert node.used == sum(held)
        assert left.used == sum(held[1:])


def test_bucket_starts_full_and_refills_at_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=20)
    assert bucket.try_take(20, now=100.0)
    assert not bucket.try_take(1, now=100.0)
    assert bucket.try_take(5, now=100.5)
    assert not bucket.try_take(1, now=100.5)
    assert bucket.available(now=1000.0) == 20


def test_taking_into_debt_says_how_long_to_wait() -> None:
    bucket = TokenBucket(rate=1000, burst=100)
    assert bucket.take(100, now=0.0) == 0.0
    assert bucket.take(500, now=0.0) == pytest.approx(0.5)
    assert bucket.take(0, now=0.5) == pytest.approx(0.0)


def test_clock_that_runs_backwards_gives_nothing() -> None:
    bucket = TokenBucket(rate=10, burst=10)
    assert bucket.try_take(10, now=100.0)
    assert not bucket.try_take(1, now=50.0)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 5000)), max_size=50))
def test_bytes_never_pass_faster_than_rate_and_burst_allow(sends: list[tuple[float, int]]) -> None:
    bucket = TokenBucket(rate=1000, burst=2000)
    now, sent = 0.0, 0
    for pause, amount in sends:
        now += pause
        now += bucket.take(amount, now)  # the sender waits as told
        sent += amount
        assert sent <= 2000 + 1000 * now + 1e-6
