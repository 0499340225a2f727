"""What whoever provides `Reachability`, `PortMapper`, `Diagnosis` or `NetworkKey` must do (`peerkit.capabilities`).

    @pytest.mark.parametrize("check", DIAGNOSIS_CHECKS, ids=lambda check: check.__name__)
    async def test_the_diagnosis_passes_the_check(two_nodes, check):
        a, b = await two_nodes(PROFILE)
        await check(provided_by(a, DIAGNOSIS, "my_plugin"))

Run them at the moments that matter to the plugin: alone, with peers, unplugged.  A check returns, or raises
`AssertionError` with the promise that was broken.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..capabilities import (
    Diagnosis,
    Finding,
    NatFiltering,
    NatMapping,
    NetworkKey,
    PortMapper,
    PortMapping,
    Reachability,
)
from ..clock import Clock
from .plugin_watch import Check, Leftovers, blocking_calls, call, call_now, cancelled_everywhere, complete

DIAGNOSE_S = 10.0  # `peerkit doctor` waits no longer
MAX_TOPIC_CHARS = 80
MAX_TEXT_CHARS = 500
VERDICTS = ("ok", "info", "warning", "problem")
SCHEMES = ("udp", "tcp", "tls", "relay", "carrier", "")
LENGTHS = (1, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class PortMapperBed:
    """Attributes:
    mapper: with a mapping in force, best.
    clock: the node's.
    """

    mapper: PortMapper
    clock: Clock


@dataclass(frozen=True, slots=True)
class NetworkKeyBed:
    """Attributes:
    key: of one node.
    fellow: of another node of the same network.
    strangers: of nodes of other networks: another name, another pre-shared key.
    """

    key: NetworkKey
    fellow: NetworkKey
    strangers: Sequence[NetworkKey]


ReachabilityCheck = Callable[[Reachability], None]
PortMapperCheck = Callable[[PortMapperBed], None]
DiagnosisCheck = Check[Diagnosis]
NetworkKeyCheck = Callable[[NetworkKeyBed], None]


def it_answers_from_memory(bed: Reachability) -> None:
    _ask(bed)
    with blocking_calls() as found:
        _ask(bed)
    assert not found, f"a property of Reachability blocks the node: it calls {found[0]}"


def observed_addresses_are_of_the_scheme(bed: Reachability) -> None:
    for scheme in SCHEMES:
        found = call_now(f"observed({scheme!r})", bed.observed, scheme)
        assert isinstance(found, Sequence), f"observed must return a sequence, not {type(found).__name__}"
        assert len(set(found)) == len(found), f"observed({scheme!r}) tells an address twice"
        for address in found:
            assert address.scheme == scheme, f"observed({scheme!r}) tells {address}"
            assert address.ip is not None and address.port, f"{address} is no address that a peer sees"


def the_words_fit_each_other(bed: Reachability) -> None:
    mapping, filtering, step, is_public = _ask(bed)
    assert isinstance(mapping, NatMapping), f"mapping must be a NatMapping, not {mapping!r}"
    assert isinstance(filtering, NatFiltering), f"filtering must be a NatFiltering, not {filtering!r}"
    assert isinstance(step, int), f"port_step must be a number, not {step!r}"
    if mapping is not NatMapping.SYMMETRIC_SEQUENTIAL:
        assert step == 0, f"port_step is {step} while the mapping is {mapping.value}; it must be 0"
    assert is_public is None or isinstance(is_public, bool), f"is_public must be True, False or None, not {is_public!r}"


def _ask(bed: Reachability) -> tuple[object, object, object, object]:
    return call_now("a property", lambda: (bed.mapping, bed.filtering, bed.port_step, bed.is_public))


def mappings_are_in_force(bed: PortMapperBed) -> None:
    found = call_now("mappings", bed.mapper.mappings)
    assert isinstance(found, Sequence), f"mappings must return a sequence, not {type(found).__name__}"
    for each in found:
        assert isinstance(each, PortMapping), f"mappings returned {each!r}"
        assert each.expires_at > bed.clock.now(), f"the mapping of {each.internal} has run out and is told as in force"


def mappings_name_both_ends(bed: PortMapperBed) -> None:
    found = bed.mapper.mappings()
    for each in found:
        assert each.internal.scheme == each.external.scheme, f"{each.internal} is mapped to another scheme"
        for address in (each.internal, each.external):
            assert address.ip is not None and address.port, f"{address} is not what a router maps: an IP and a port"
        assert each.protocol and each.gateway, f"the mapping of {each.internal} does not say who made it"
    ends = [(each.gateway, each.external) for each in found]
    assert len(set(ends)) == len(ends), "one external port is told as mapped twice"


def mappings_come_from_memory(bed: PortMapperBed) -> None:
    call_now("mappings", bed.mapper.mappings)
    with blocking_calls() as found:
        call_now("mappings", bed.mapper.mappings)
    assert not found, f"mappings blocks the node: it calls {found[0]}"


async def findings_are_sentences(bed: Diagnosis) -> None:
    for finding in await _diagnose(bed):
        assert 0 < len(finding.topic) <= MAX_TOPIC_CHARS and finding.topic.isprintable(), (
            f"a topic is a word or two, not {finding.topic[:100]!r}"
        )
        text = finding.text
        assert text.isprintable() and len(text) <= MAX_TEXT_CHARS, f"a finding is one line, not {text[:100]!r}"
        assert len(text.split()) > 1, f"{text!r} is no sentence"
        assert finding.verdict in VERDICTS, f"a verdict is one of {', '.join(VERDICTS)}, not {finding.verdict!r}"


async def details_are_json(bed: Diagnosis) -> None:
    for finding in await _diagnose(bed):
        try:
            json.dumps(dict(finding.details), allow_nan=False)
        except (TypeError, ValueError) as exc:
            raise AssertionError(f"the details of {finding.topic!r} are no JSON: {exc}") from exc


async def a_look_leaves_nothing(bed: Diagnosis) -> None:
    """Neither a whole one nor a cancelled one."""
    left = Leftovers()
    await left.run(_diagnose(bed))
    await left.none("diagnose")

    async def look() -> object:
        return await bed.diagnose()

    await cancelled_everywhere("diagnose", look)
    await _diagnose(bed)


async def _diagnose(bed: Diagnosis) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(DIAGNOSE_S):
            found = await call("diagnose", bed.diagnose)
    except TimeoutError:
        raise AssertionError(f"diagnose took longer than {DIAGNOSE_S:g} s") from None
    assert isinstance(found, Sequence), f"diagnose must return a sequence, not {type(found).__name__}"
    for finding in found:
        assert isinstance(finding, Finding), f"diagnose returned {finding!r}, which is no Finding"
    return found


def fellows_derive_the_same(bed: NetworkKeyBed) -> None:
    for length in LENGTHS:
        ours = call_now("derive", bed.key.derive, b"label", length)
        assert len(ours) == length, f"derive(…, {length}) returned {len(ours)} bytes"
        assert ours == bed.key.derive(b"label", length), "derive must return the same each time"
        assert ours == bed.fellow.derive(b"label", length), "two nodes of one network derive different secrets"


def labels_are_apart(bed: NetworkKeyBed) -> None:
    labels = (b"", b"a", b"b", b"a\x00", b"label", b"x" * 500)
    derived = {call_now("derive", bed.key.derive, label) for label in labels}
    assert len(derived) == len(labels), "two labels gave one secret"


def strangers_derive_others(bed: NetworkKeyBed) -> None:
    for stranger in bed.strangers:
        assert stranger.derive(b"label") != bed.key.derive(b"label"), "a node of another network derives our secret"


REACHABILITY_CHECKS: tuple[ReachabilityCheck, ...] = (
    it_answers_from_memory,
    observed_addresses_are_of_the_scheme,
    the_words_fit_each_other,
)
PORT_MAPPER_CHECKS: tuple[PortMapperCheck, ...] = (
    mappings_are_in_force,
    mappings_name_both_ends,
    mappings_come_from_memory,
)
DIAGNOSIS_CHECKS: tuple[DiagnosisCheck, ...] = complete(findings_are_sentences, details_are_json, a_look_leaves_nothing)
NETWORK_KEY_CHECKS: tuple[NetworkKeyCheck, ...] = (fellows_derive_the_same, labels_are_apart, strangers_derive_others)
