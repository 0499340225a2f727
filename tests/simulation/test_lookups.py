"""Lookups among whole nodes with real handshakes: exact, and in few hops."""

import pytest

from peerkit.testing import run
from tests.simulation.lookups import measure

NODES = 60  # three times k; 200 nodes were not yet seen to end within the time that `make test` has
LOOKUPS = 50


@pytest.mark.simulation
@pytest.mark.timeout(900)  # where others compute a simulation takes many times as long as alone
def test_lookups_among_whole_nodes_are_exact_and_short() -> None:
    report = run(measure(NODES, LOOKUPS), seed=1)
    assert report.exact >= 0.99, report
    assert report.hops <= 4, report
    assert report.queried <= 40, report
