"""A stream that is cancelled before its opening frame left, or whose frames come in another order, leaves nothing."""

import itertools

import pytest

from peerkit._session.frames import Kind
from peerkit._session.mux import Mux
from peerkit.limits import Budget


def mux(is_dialer: bool) -> Mux:
    made = Mux(is_dialer, 1 << 20, 1 << 24, 16, 1 << 20, 1 << 24, 16, Budget("test", 1 << 30))
    made.protocols = 1
    return made


def frames_of(a: Mux) -> list[bytes]:
    """Each frame that waits, alone."""
    return [bytes(frame) for frame in a.frames_to_send(1_000)]


@pytest.mark.parametrize("written", [b"", b"a question"])
def test_a_stream_cancelled_before_it_was_sent_is_opened_and_ended(written: bytes) -> None:
    a, b = mux(True), mux(False)
    state = a.open(Kind.REQUEST, 0)
    a.write(state, written)
    a.reset(state, 10)
    for frame in frames_of(a):
        b.receive_frames(memoryview(frame))
    assert not a.streams and not b.streams
    assert b.streams_opened == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_opening_reset_and_stop_may_come_in_any_order(order: tuple[int, ...]) -> None:
    a, b = mux(True), mux(False)
    a.reset(a.open(Kind.REQUEST, 0), 10)
    frames = frames_of(a)
    assert len(frames) == 3
    for at in order:
        b.receive_frames(memoryview(frames[at]))
    for frame in frames:  # late copies
        b.receive_frames(memoryview(frame))
    assert not b.streams
    assert b.streams_opened == 1
