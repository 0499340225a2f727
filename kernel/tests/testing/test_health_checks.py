"""The checks of reachability, port mappings, diagnosis and network keys: the fakes pass, the broken ones are found."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernel.tests.testing.sabotage import Saboteurs, assert_all_sabotaged, assert_caught, assert_passes, cases_of
from peerkit import capabilities
from peerkit.address import Address
from peerkit.capabilities import KERNEL_CAPABILITIES, Capability, Finding, NatMapping, PortMapping
from peerkit.testing import FakeClock
from peerkit.testing.capability_checks import CAPABILITY_CHECKS
from peerkit.testing.fake_capabilities import FixedDiagnosis, FixedMappings, FixedReachability, MemoryNetworkKey
from peerkit.testing.health_checks import NetworkKeyBed, PortMapperBed

UDP = Address("udp", "192.0.2.1", 4433)


class Reads(FixedReachability):
    @property
    def is_public(self) -> bool | None:
        return Path(__file__).exists() and bool(Path(__file__).read_bytes())

    @is_public.setter
    def is_public(self, value: bool | None) -> None: ...


class AllSchemes(FixedReachability):
    def observed(self, scheme: str) -> Sequence[Address]:
        return [UDP]


class SlowDiagnosis(FixedDiagnosis):
    async def diagnose(self) -> Sequence[Finding]:
        await asyncio.sleep(11)
        return []


class BusyDiagnosis(FixedDiagnosis):
    async def diagnose(self) -> Sequence[Finding]:
        asyncio.get_running_loop().call_later(1e6, print, "look again")
        return []


class ShortKey(MemoryNetworkKey):
    def derive(self, label: bytes, length: int = 32) -> bytes:
        return super().derive(label, 32)


class Deaf2Labels(MemoryNetworkKey):
    def derive(self, label: bytes, length: int = 32) -> bytes:
        return super().derive(label[:1], length)


class Public(MemoryNetworkKey):
    def derive(self, label: bytes, length: int = 32) -> bytes:
        return MemoryNetworkKey(b"").derive(label, length)


class ReadingMapper(FixedMappings):
    def mappings(self) -> Sequence[PortMapping]:
        return super().mappings() if Path(__file__).read_bytes() else []


def port_mapper(**changes: Any) -> Callable[[], PortMapperBed]:
    mapping = PortMapping(replace(UDP, host="10.0.0.2"), UDP, "pcp", "10.0.0.1", 100.0)
    return lambda: PortMapperBed(FixedMappings([replace(mapping, **changes)]), FakeClock())


def finding(text: str = "All is well.", **changes: Any) -> Callable[[], FixedDiagnosis]:
    return lambda: FixedDiagnosis([replace(Finding("NAT", "ok", text), **changes)])


def reachability(**changes: Any) -> Callable[[], FixedReachability]:
    return lambda: FixedReachability([UDP], **changes)


def network_key(kind: type[MemoryNetworkKey]) -> Callable[[], NetworkKeyBed]:
    return lambda: NetworkKeyBed(kind(), kind(), [kind(b"another")])


HONEST: Mapping[str, Callable[[], Any]] = {
    "peerkit.reachability/1": reachability(mapping=NatMapping.SYMMETRIC_SEQUENTIAL, port_step=2, is_public=False),
    "peerkit.port_mapper/1": port_mapper(),
    "peerkit.diagnosis/1": finding(),
    "peerkit.network_key/1": network_key(MemoryNetworkKey),
}
SABOTEURS: Mapping[str, Saboteurs[Callable[[], Any]]] = {
    "peerkit.reachability/1": {
        "it_answers_from_memory": [(Reads, r"a property of Reachability blocks the node: it calls open\(")],
        "observed_addresses_are_of_the_scheme": [
            (AllSchemes, r"observed\('tcp'\) tells udp://"),
            (lambda: FixedReachability([UDP, UDP]), r"observed\('udp'\) tells an address twice"),
            (lambda: FixedReachability([replace(UDP, port=0)]), "is no address that a peer sees"),
        ],
        "the_words_fit_each_other": [
            (reachability(mapping=NatMapping.SYMMETRIC, port_step=3), "port_step is 3 while the mapping is symmetric"),
            (reachability(mapping="none"), "mapping must be a NatMapping, not 'none'"),
            (reachability(is_public="yes"), "is_public must be True, False or None, not 'yes'"),
        ],
    },
    "peerkit.port_mapper/1": {
        "mappings_are_in_force": [(port_mapper(expires_at=-1.0), "has run out and is told as in force")],
        "mappings_name_both_ends": [
            (port_mapper(external=replace(UDP, scheme="tcp")), "is mapped to another scheme"),
            (port_mapper(internal=replace(UDP, port=0)), "an IP and a port"),
            (port_mapper(gateway=""), "does not say who made it"),
        ],
        "mappings_come_from_memory": [
            (lambda: PortMapperBed(ReadingMapper(), FakeClock()), r"mappings blocks the node: it calls open\(")
        ],
    },
    "peerkit.diagnosis/1": {
        "findings_are_sentences": [
            (finding("unreachable"), "'unreachable' is no sentence"),
            (finding("Two.\nLines."), "a finding is one line"),
            (finding(topic=""), "a topic is a word or two"),
            (finding(verdict="bad"), "a verdict is one of ok, info, warning, problem, not 'bad'"),
            (SlowDiagnosis, "diagnose took longer than 10 s"),
            (lambda: FixedDiagnosis(["well"]), "'well', which is no Finding"),  # type: ignore[list-item]
        ],
        "details_are_json": [
            (finding(details={"address": UDP}), "the details of 'NAT' are no JSON"),
            (finding(details={"rtt": math.nan}), "the details of 'NAT' are no JSON"),
        ],
        "a_look_leaves_nothing": [(BusyDiagnosis, "diagnose left behind: a timer that calls print")],
    },
    "peerkit.network_key/1": {
        "fellows_derive_the_same": [
            (network_key(ShortKey), r"derive\(…, 1\) returned 32 bytes"),
            (lambda: NetworkKeyBed(MemoryNetworkKey(), MemoryNetworkKey(b"x"), []), "derive different secrets"),
        ],
        "labels_are_apart": [(network_key(Deaf2Labels), "two labels gave one secret")],
        "strangers_derive_others": [(network_key(Public), "a node of another network derives our secret")],
    },
}


ALL = [pytest.param(name, check, id=check.__name__) for name in SABOTEURS for check in CAPABILITY_CHECKS[name]]


@pytest.mark.parametrize(("name", "check"), ALL)
def test_the_fakes_pass(name: str, check: Callable[[Any], Any]) -> None:
    assert_passes(check, HONEST[name])


@pytest.mark.parametrize("name", SABOTEURS)
def test_each_check_has_a_saboteur(name: str) -> None:
    assert_all_sabotaged(CAPABILITY_CHECKS[name], SABOTEURS[name])


@pytest.mark.parametrize(("name", "check", "make", "sentence"), cases_of(SABOTEURS))
def test_the_broken_one_is_found(name: str, check: str, make: Callable[[], Any], sentence: str) -> None:
    assert_caught(CAPABILITY_CHECKS[name], check, make, sentence)


def test_every_capability_that_a_plugin_can_provide_has_checks() -> None:
    tokens = {each.name for each in vars(capabilities).values() if isinstance(each, Capability)}
    assert tokens - set(KERNEL_CAPABILITIES) == set(CAPABILITY_CHECKS)
