"""Transfers over bad wires: everything arrives, once and unchanged, whatever happens to single packets."""

import pytest
from peerkit_transport_udp.congestion import Cubic, LedbatPlusPlus, NewReno
from peerkit_transport_udp.connection import State

from plugins.transport_udp.tests.wire import Wire, random_faults


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("delay_s", [0.0005, 0.025, 0.15])
def test_everything_arrives_under_loss(loss: float, delay_s: float) -> None:
    wire = Wire(delay_s, random_faults(loss, seed=3))
    wire.transfer(120_000)
    wire.fault = None
    wire.run_for(5)
    assert wire.b.source.lost is None
    assert wire.a.connection.paths.active.in_flight == 0, "what is acknowledged or lost is not in flight"


@pytest.mark.parametrize(("doubled", "late", "late_s"), [(1.0, 0.0, 0.0), (0.3, 0.3, 0.05), (0.0, 1.0, 0.2)])
def test_doubled_and_reordered_packets_do_no_harm(doubled: float, late: float, late_s: float) -> None:
    wire = Wire(0.02, random_faults(0.02, 5, doubled, late, late_s))
    wire.transfer(120_000)
    if doubled == 1.0:
        assert wire.b.connection.receiver.duplicates > 50
    assert not wire.b.connection.receiver.failures


@pytest.mark.parametrize("controller", [Cubic, NewReno, LedbatPlusPlus])
def test_every_controller_moves_the_bytes(controller: type[Cubic]) -> None:
    wire = Wire(0.02, random_faults(0.01, 7), make_controller=controller)
    assert wire.transfer(300_000) < 20


def test_a_clean_path_fills_the_window_and_loses_nothing() -> None:
    """1 MB at 40 ms: slow start from ten datagrams needs about seven round trips."""
    wire = Wire(0.02)
    assert wire.transfer(1_000_000) < 0.5
    assert wire.a.connection.recovery.packets_lost == 0
    assert wire.a.connection.recovery.timeouts == 0


def test_what_is_sent_once_is_not_repeated() -> None:
    wire = Wire(0.02)
    wire.transfer(10_000)
    wire.fault = lambda datagram: ()
    wire.a.source.once = [b"\x17lost"]
    wire.send()
    wire.fault = None
    wire.run_for(5)
    assert wire.b.source.received_once == []
    wire.a.source.once = [b"\x17arrives"]
    wire.run_for(1)
    assert wire.b.source.received_once == [b"\x17arrives"]


def test_key_updates_at_every_turn() -> None:
    """The smallest number of packets per key that leaves room for a flight: keys follow each other all the time."""
    wire = Wire(0.01, random_faults(0.05, 11, late=0.2, late_s=0.02), max_packets=64)
    wire.transfer(600_000)
    updates = wire.a.connection.sender.keys.updates
    assert updates >= 6
    assert wire.b.connection.receiver.keys.updates in (updates - 1, updates)


def test_a_connection_survives_ten_seconds_of_silence() -> None:
    wire = Wire(0.02)
    wire.transfer(20_000)
    wire.fault = lambda datagram: ()
    wire.a.source.total += 50_000
    wire.run_for(10)
    assert wire.a.connection.recovery.timeouts >= 4
    wire.fault = None
    back_at = wire.now
    wire.run_until(lambda: wire.b.source.in_order == wire.a.source.total)
    assert wire.now - back_at < 11  # the longest wait between two probes
    assert wire.a.connection.state is State.OPEN


def test_silence_without_end_is_told_after_the_idle_timeout() -> None:
    wire = Wire(0.02)
    wire.transfer(20_000)
    wire.fault = lambda datagram: ()
    began = wire.now
    wire.run_until(lambda: wire.a.source.lost is not None and wire.b.source.lost is not None, 60)
    assert 30 <= wire.now - began < 50
    assert wire.a.source.lost == ("the peer has not been heard for too long", False)


def test_an_idle_connection_is_kept_alive_at_little_cost() -> None:
    wire = Wire(0.02)
    wire.transfer(20_000)
    wire.run_for(1)
    wire.is_recording = True
    wire.run_for(600)
    assert wire.a.source.lost is None and wire.b.source.lost is None
    assert len(wire.sent) <= 600 / 20 * 4 + 20  # a ping and its answer from each side; and probes for the path's size


def test_a_receiver_that_stops_reading_costs_the_sender_only_its_window() -> None:
    """The session stops giving payloads when its credit ends; the connection then keeps still and alive."""
    wire = Wire(0.02)
    wire.transfer(100_000)
    wire.run_for(1)
    wire.is_recording = True
    wire.run_for(10)
    assert len(wire.sent) < 20
    wire.transfer(100_000)


def test_closing_with_flush_delivers_everything_first() -> None:
    wire = Wire(0.02, random_faults(0.1, 13))
    wire.a.source.total = 60_000
    wire.step()
    wire.a.connection.close(True, wire.now)
    wire.run_until(lambda: wire.a.connection.is_over and wire.b.source.in_order == 60_000, 10)
    assert wire.a.source.lost is None, "who closed is not told"


def test_closing_without_flush_tells_the_peer_at_once() -> None:
    wire = Wire(0.02)
    wire.transfer(1_000)
    wire.a.connection.close(False, wire.now)
    wire.send()
    assert wire.a.connection.is_over
    wire.run_until(lambda: wire.b.connection.is_over, 1)
    assert wire.b.source.lost is not None and wire.b.source.lost[1]


def test_a_peer_that_never_acknowledges_cannot_hold_a_closing_connection() -> None:
    wire = Wire(0.02)
    wire.transfer(1_000)
    wire.fault = lambda datagram: ()
    wire.a.source.total += 5_000
    wire.send()
    wire.a.connection.close(True, wire.now)
    began = wire.now
    wire.run_until(lambda: wire.a.connection.is_over, 10)
    assert wire.now - began <= 2.01


def test_a_broken_rule_ends_the_connection_on_both_sides() -> None:
    wire = Wire(0.02)
    wire.b.source.breaks_on = 5
    wire.a.source.total = 100_000
    wire.run_until(lambda: wire.a.connection.is_over and wire.b.connection.is_over, 10)
    assert wire.b.source.lost == ("a rule was broken", False)
    assert wire.a.source.lost is not None and wire.a.source.lost[1]
