"""Lookups among whole nodes with real handshakes: exact, and in few hops."""

import pytest

from peerkit.testing import run
from tests.simulation.lookups import measure

NODES = 40  # twice k; joins cost a handshake with most of the others, so 200 nodes take some minutes of CPU


@pytest.mark.simulation
@pytest.mark.timeout(180)
def test_lookups_among_whole_nodes_are_exact_and_short() -> None:
    report = run(measure(NODES, 40), seed=1)
    assert report.exact >= 0.99, report
    assert report.hops <= 4, report
    assert report.queried <= 40, report
