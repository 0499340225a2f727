"""NAT-PMP and PCP: golden bytes, and that no bytes raise anything but a protocol error."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_nat_upnp import nat_pmp, pcp
from peerkit_nat_upnp.epoch import Epoch, Rule
from peerkit_nat_upnp.mapping import TCP, UDP, Granted, Lease, Wanted

from peerkit import Address
from peerkit.errors import RemoteProtocolError

WANTED = Wanted(UDP, Address("udp", "192.168.1.2", 4_433))
NONCE = b"twelve bytes"


def test_golden_bytes_of_nat_pmp() -> None:
    assert nat_pmp.ADDRESS_REQUEST.hex() == "0000"
    assert nat_pmp.map_request(WANTED, 4_433, 3_600).hex() == "000100001151115100000e10"
    tcp = Wanted(TCP, WANTED.internal)
    assert nat_pmp.map_request(tcp, 0, 0).hex() == "000200001151000000000000"
    answer = nat_pmp.parse(bytes.fromhex("00800000000000052d010102"))
    assert answer == nat_pmp.AddressAnswer(0, 5, "45.1.1.2")
    mapped = nat_pmp.parse(bytes.fromhex("00810000000000061151115200000e10"))
    assert mapped == nat_pmp.MapAnswer(0, 6, UDP, 4_433, 4_434, 3_600)
    refused = nat_pmp.parse(bytes.fromhex("0080000200000005"))
    assert isinstance(refused, nat_pmp.AddressAnswer) and refused.result == 2


def test_golden_bytes_of_pcp() -> None:
    client = "00000000000000000000ffffc0a80102"
    assert pcp.announce_request("192.168.1.2").hex() == "0200000000000000" + client
    request = pcp.map_request(WANTED, NONCE, "0.0.0.0", 4_433, 3_600)
    anyone = "00000000000000000000ffff00000000"
    body = NONCE.hex() + "1100000011511151" + anyone
    assert request.hex() == "0201000000000e10" + client + body
    head = "0281000000000e1000000007" + "00" * 12
    answer = pcp.parse(bytes.fromhex(head + body[:-32] + "00000000000000000000ffff2d010102"))
    assert answer == pcp.MapAnswer(pcp.MAP, 0, 3_600, 7, NONCE, UDP, 4_433, 4_433, "45.1.1.2")
    # as miniupnpd 2.3.1 answers ANNOUNCE
    announced = pcp.parse(bytes.fromhex("028000000000000000000003" + "00" * 12))
    assert announced == pcp.Answer(pcp.ANNOUNCE, 0, 0, 3)
    assert pcp.is_older_version(bytes.fromhex("0080000100000003"))


@pytest.mark.parametrize("parse", [nat_pmp.parse, pcp.parse])
@given(data=st.binary(max_size=80) | st.binary(min_size=60, max_size=60).map(lambda b: b"\2\x81\0\0" + b[4:]))
def test_no_bytes_raise_anything_but_a_protocol_error(parse: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse(data)


@pytest.mark.parametrize("size", [0, 1, 23, 25, 1_104, 60_000])
def test_answers_of_a_wrong_length_are_refused(size: int) -> None:
    with pytest.raises(RemoteProtocolError):
        pcp.parse((b"\2\x80" + bytes(size))[:size])


@pytest.mark.parametrize("rule", Rule)
def test_a_router_that_counts_on_has_kept_its_state(rule: Rule) -> None:
    epoch = Epoch(rule)
    assert epoch.seen(1_000, 50.0)
    assert epoch.seen(1_060, 110.0)
    assert epoch.seen(1_117, 170.0), "its clock is a little slow"


@pytest.mark.parametrize("rule", Rule)
def test_a_router_whose_seconds_go_back_has_restarted(rule: Rule) -> None:
    epoch = Epoch(rule)
    assert epoch.seen(1_000, 50.0)
    assert not epoch.seen(3, 110.0)
    assert epoch.seen(63, 170.0), "told once"


def test_pcp_also_sees_a_clock_that_jumps_ahead() -> None:
    epoch = Epoch(Rule.PCP)
    epoch.seen(10, 0.0)
    assert not epoch.seen(10_000, 60.0)


def test_a_lease_is_renewed_at_half_and_no_router_makes_it_longer() -> None:
    lease = Lease.begin(WANTED, Granted("45.1.1.2", 4_433, 3_600), 3_600, 100.0)
    assert (lease.renew_at, lease.expires_at) == (1_900.0, 3_700.0)
    assert Lease.begin(WANTED, Granted("45.1.1.2", 1, 1 << 31), 3_600, 0.0).expires_at == 3_600.0
    assert Lease.begin(WANTED, Granted("45.1.1.2", 1, 0), 3_600, 0.0).renew_at == 1_800.0, (
        "permanent: looked after all the same"
    )
    lease.renewal_failed(1_900.0)
    assert 1_900 < lease.renew_at < lease.expires_at
