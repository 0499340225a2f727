"""Whole nodes behind real NATs: a corner of the matrix that `make natlab` runs whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.natlab.laboratory import laboratory
from tests.natlab.matrix import Matrix, matrix
from tests.natlab.nodes import helpers
from tests.netns.space import missing

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    folder: Path = tmp_path_factory.mktemp("natlab")
    kind = ("port_restricted",)
    with laboratory() as lab, matrix(lab, "udp", kind, ["none", *kind], folder, public_nodes=2) as made:
        yield made


def test_whoever_can_be_reached_is_reached_directly(corner: Matrix) -> None:
    cell = corner.cell("port_restricted", "none", 3)
    assert (cell.path, cell.direct, cell.connected) == ("direct", 3, 3), cell.attempts


def test_two_nodes_that_nobody_reaches_connect(corner: Matrix) -> None:
    """Over the node that both know; directly as soon as holes are punched."""
    cell = corner.cell("port_restricted", "port_restricted", 1)
    assert (cell.connected, cell.path) == (1, "direct" if "holepunch" in helpers() else "relayed"), cell.attempts
