"""What sizes tell: sealed packets on the wire, padded and not."""

import pytest

from plugins.transport_udp.tests.wire import Wire, random_faults


def sizes(wire: Wire) -> set[int]:
    wire.is_recording = True
    for nbytes in (1, 70, 300, 30_000):
        wire.transfer(nbytes)
        wire.run_for(1)
    return {len(datagram) for _, datagram in wire.sent}


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_padded_packets_have_few_sizes(loss: float) -> None:
    wire = Wire(0.01, random_faults(loss, 1), max_datagram_bytes=1_200, padding_bytes=256)
    assert sizes(wire) <= {256, 512, 768, 1_024, 1_200}
    assert wire.a.source.lost is None and wire.b.source.lost is None


def test_packets_of_the_largest_size_alone() -> None:
    assert sizes(Wire(0.01, max_datagram_bytes=1_200, padding_bytes=1_200)) == {1_200}


def test_without_padding_sizes_tell_what_is_sent() -> None:
    assert len(sizes(Wire(0.01, max_datagram_bytes=1_200))) > 5


def test_an_unproven_path_gets_no_padding() -> None:
    """No more bytes go to an address than came from there, and a padded challenge would be more."""
    wire = Wire(0.01, max_datagram_bytes=1_200, padding_bytes=1_200)
    wire.transfer(5_000)
    wire.is_recording = True
    wire.a.port = 5_555
    wire.transfer(5_000)
    wire.run_for(1)
    assert wire.b.connection.route.remote.port == 5_555
    challenges = [len(datagram) for side, datagram in wire.sent if side == 1 and len(datagram) < 1_200]
    assert challenges and max(challenges) < 100
