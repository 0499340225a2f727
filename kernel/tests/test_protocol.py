"""Agreeing on protocols: both ends come to the same result, by role and whatever the order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerkit.errors import UsageError
from peerkit.protocol import Offer, ProtocolSpec, negotiate


def offers(*specs: ProtocolSpec) -> dict[str, Offer]:
    return {s.id: Offer(s.id, s.version, s.accepts, s.mandatory) for s in specs}


def by_id(*specs: ProtocolSpec) -> dict[str, ProtocolSpec]:
    return {s.id: s for s in specs}


@pytest.mark.parametrize(
    ("rule", "theirs", "takes"),
    [
        ("0.2.0, >0.1.0", "0.3.0", True),
        ("0.2.0, >0.1.0", "0.1.0", False),
        ("1.0.0", "1.0.0", True),
        ("1.0.0", "1.0.1", False),
        ("1.0.0, >=1.0,<2", "1.9", True),
        ("1.0.0, >=1.0,<2", "2.0", False),
        ("1.0.0, >=1.0", "nonsense", False),
        ("1.0.0, >=1.0", "9" * 500, False),
    ],
)
def test_version_rules(rule: str, theirs: str, takes: bool) -> None:
    assert ProtocolSpec.from_rule("p", rule).takes(theirs) is takes


@pytest.mark.parametrize(
    ("id", "version", "accepts"), [("", "1", ""), ("x" * 65, "1", ""), ("p", "one", ""), ("p", "1", "~~2")]
)
def test_wrong_specs_say_why(id: str, version: str, accepts: str) -> None:
    with pytest.raises(UsageError):
        ProtocolSpec(id, version, accepts)


def test_both_must_accept_the_other() -> None:
    old, new = ProtocolSpec("p", "1.0", accepts=">=1.0"), ProtocolSpec("p", "2.0", accepts=">=2.0")
    assert not negotiate(by_id(old), offers(new)).protocols
    assert not negotiate(by_id(new), offers(old)).protocols


def test_mandatory_protocols_that_are_missing_are_named_on_both_sides() -> None:
    must = ProtocolSpec("must", "1.0", mandatory=True)
    assert negotiate(by_id(must), {}).refused == ("the peer does not speak must, which is mandatory here",)
    assert negotiate({}, offers(must)).refused == ("we do not speak must, which is mandatory there",)


versions = st.sampled_from(["1.0", "1.5", "2.0"])
specs = st.builds(
    ProtocolSpec,
    st.sampled_from(["a", "b", "c"]),
    versions,
    accepts=st.sampled_from(["", ">=1.0", ">=2.0", "<2"]),
    mandatory=st.booleans(),
)


@given(st.lists(specs, unique_by=lambda s: s.id), st.lists(specs, unique_by=lambda s: s.id))
def test_both_ends_agree(ours: list[ProtocolSpec], theirs: list[ProtocolSpec]) -> None:
    here = negotiate(by_id(*ours), offers(*theirs))
    there = negotiate(by_id(*theirs), offers(*ours))
    assert set(here.protocols) == set(there.protocols)
    assert bool(here.refused) == bool(there.refused)
