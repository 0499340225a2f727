"""Lookups among whole nodes with real handshakes: exact, and in few hops."""

import pytest

from peerkit.testing import run
from tests.simulation.lookups import measure

NODES = 200  # ten times k: 1,000 are for `make bench`
LOOKUPS = 50


@pytest.mark.simulation
@pytest.mark.timeout(1800)  # where others compute a simulation takes many times as long as alone
def test_lookups_among_whole_nodes_are_exact_and_short() -> None:
    report = run(measure(NODES, LOOKUPS), seed=1)
    assert report.exact >= 0.99, report
    assert report.hops <= 4, report
    assert report.queried <= 40, report
