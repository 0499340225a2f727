"""Signed records: what is refused, in which words, and that bytes are passed on unchanged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerkit import codec
from peerkit.address import Address
from peerkit.errors import RemoteProtocolError, VerificationFailed
from peerkit.identity import Identity, verify
from peerkit.record import MAX_RECORD_BYTES, PeerRecord, Signed, network_id

NOW = 1_700_000_000.0
NET = network_id("test")
ME = Identity(bytes(32))
HOME = Address.parse("tcp://192.0.2.1:4433")


def make(**changes: object) -> PeerRecord:
    fields: dict[str, object] = {
        "sequence": 7,
        "now_wall": NOW,
        "addresses": (HOME,),
        "static_key": b"k" * 32,
        **changes,
    }
    return PeerRecord.make(ME, NET, **fields)  # type: ignore[arg-type]


def read(data: bytes, now: float = NOW, net: bytes = NET) -> PeerRecord:
    return PeerRecord.from_bytes(data, net, now)


def test_golden_bytes() -> None:
    wire = make(protocols={"a": "1"}).to_bytes()
    assert wire.hex() == (
        "0a94010a203b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da2910071880d095ffbc31208088afa8bd312a2000"
        "8d6d987bea19c3790bf194629ce225fb53cf8e4d036366076b5755cece2b8d32147463703a2f2f3139322e302e322e313a343433333a206b"
        "6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b42060a016112013112408670666f159b53f072417721a417fa"
        "69a5eaf1df40b2e8588adceb49cd111ac2844a3d0be961d7ac97492bcc84d0a4af4e531495faf3ca828810c4c3f6def40e"
    )
    assert read(wire).to_bytes() == wire


def test_round_trip_and_bytes_pass_on_unchanged() -> None:
    record = make(protocols={"example.org/chat": "1.2.0"})
    again = read(record.to_bytes())
    assert again == record and again.to_bytes() == record.to_bytes()
    assert (
        again.peer_id == ME.peer_id
        and again.addresses == (HOME,)
        and dict(again.protocols) == {"example.org/chat": "1.2.0"}
    )


def test_unknown_fields_survive() -> None:
    """A newer peer's record with a field that we do not know keeps its signature."""
    body = make().signed.body + b"\xfa\x01\x03new"  # field 31
    signed = Signed(body, ME.sign("peer-record", NET, body))
    assert read(signed.to_bytes()).to_bytes() == signed.to_bytes()


def test_other_peers_signature_is_refused() -> None:
    body = make().signed.body
    forged = Signed(body, Identity(b"x" * 32).sign("peer-record", NET, body))
    with pytest.raises(RemoteProtocolError, match="not signed by its subject"):
        read(forged.to_bytes())


def test_signature_of_another_purpose_or_network_is_refused() -> None:
    body = make().signed.body
    for signature in (ME.sign("posting", NET, body), ME.sign("peer-record", network_id("other"), body)):
        with pytest.raises(RemoteProtocolError, match="not signed"):
            read(Signed(body, signature).to_bytes())


@pytest.mark.parametrize(
    ("now", "net", "says"),
    [
        (NOW + 86_401, NET, "expired"),
        (NOW - 601, NET, "ahead of our clock"),
        (NOW, network_id("other"), "another network"),
    ],
)
def test_time_and_network_are_checked(now: float, net: bytes, says: str) -> None:
    with pytest.raises(RemoteProtocolError, match=says):
        read(make().to_bytes(), now, net)


def test_own_records_stay_within_the_bounds() -> None:
    many = tuple(Address("tcp", f"10.{i}.0.1", 4433) for i in range(40))
    record = make(addresses=many, protocols={f"example.org/{'x' * 50}{i}": "1.0.0" for i in range(60)})
    assert len(record.to_bytes()) <= MAX_RECORD_BYTES + 80 and len({a.prefix for a in record.addresses}) <= 4
    assert read(record.to_bytes()) == record


@pytest.mark.parametrize("addresses", [["tcp://example.org:1"], ["junk"], [f"tcp://10.0.0.{i}:1" for i in range(17)],
                                       [f"tcp://10.{i}.0.1:1" for i in range(5)]])  # fmt: skip
def test_addresses_that_records_may_not_hold_are_refused(addresses: list[str]) -> None:
    body = codec.encode_peer_record(
        ME.peer_id.raw, 1, int(NOW * 1000), int(NOW * 1000) + 1000, NET, addresses, b"", {}, False
    )
    with pytest.raises(RemoteProtocolError):
        read(Signed(body, ME.sign("peer-record", NET, body)).to_bytes())


def test_every_truncation_is_refused() -> None:
    wire = make().to_bytes()
    for end in range(len(wire)):
        with pytest.raises(RemoteProtocolError):
            read(wire[:end])


def test_oversized_records_are_refused_before_they_are_parsed() -> None:
    with pytest.raises(RemoteProtocolError, match="longer than allowed"):
        read(bytes(5000))


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_protocol_error(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(data)


def test_signatures_verify_only_what_was_signed() -> None:
    signature = ME.sign("test", NET, b"body")
    verify(ME.peer_id, "test", NET, b"body", signature)
    for bit in range(len(signature) * 8):
        bad = bytearray(signature)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationFailed):
            verify(ME.peer_id, "test", NET, b"body", bytes(bad))
