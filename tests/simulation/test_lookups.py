"""Lookups among 200 whole nodes with real handshakes: exact, and in few hops.  The benchmark does it with 1,000."""

import pytest

from peerkit.testing import run
from tests.simulation.lookups import measure


@pytest.mark.simulation
@pytest.mark.timeout(180)
def test_lookups_among_200_nodes_are_exact_and_short() -> None:
    report = run(measure(200, 100), seed=1)
    assert report.exact >= 0.99, report
    assert report.hops <= 4, report
    assert report.queried <= 40, report
