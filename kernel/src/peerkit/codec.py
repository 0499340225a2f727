"""The kernel's protobuf messages as plain Python values.  The only module that imports the generated code.

Lengths are checked by the callers before anything is parsed here: a parse can take 28 to 123 times the bytes
(measured)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from .errors import RemoteProtocolError
from .wire.v1 import peerkit_pb2 as pb

MAX_CONTROL_BYTES = 65_536


def encode_signed(body: bytes, signature: bytes) -> bytes:
    return pb.Signed(body=body, signature=signature).SerializeToString()


def decode_signed(data: bytes) -> tuple[bytes, bytes]:
    message = pb.Signed()
    _parse(message, data)
    return message.body, message.signature


@dataclass(frozen=True, slots=True)
class PeerRecordFields:
    """`peerkit.wire.v1.PeerRecord`, unchecked."""

    key: bytes
    sequence: int
    issued_ms: int
    expires_ms: int
    network_id: bytes
    addresses: tuple[str, ...]
    static_key: bytes
    protocols: Mapping[str, str]
    client: bool


def encode_peer_record(
    key: bytes,
    sequence: int,
    issued_ms: int,
    expires_ms: int,
    network_id: bytes,
    addresses: Sequence[str],
    static_key: bytes,
    protocols: Mapping[str, str],
    client: bool,
) -> bytes:
    return pb.PeerRecord(
        key=key,
        sequence=sequence,
        issued_ms=issued_ms,
        expires_ms=expires_ms,
        network_id=network_id,
        addresses=addresses,
        static_key=static_key,
        protocols=[pb.ProtocolVersion(id=name, version=version) for name, version in protocols.items()],
        client=client,
    ).SerializeToString()


def decode_peer_record(data: bytes) -> PeerRecordFields:
    message = pb.PeerRecord()
    _parse(message, data)
    if len(message.addresses) > 64 or len(message.protocols) > 64:
        raise RemoteProtocolError("a peer record repeats a field too often")
    return PeerRecordFields(
        message.key,
        message.sequence,
        message.issued_ms,
        message.expires_ms,
        message.network_id,
        tuple(message.addresses),
        message.static_key,
        {p.id: p.version for p in message.protocols},
        message.client,
    )


def _parse(message: pb.Signed | pb.PeerRecord | pb.Hello, data: bytes) -> None:
    if len(data) > MAX_CONTROL_BYTES:
        raise RemoteProtocolError(f"a control message of {len(data)} bytes is longer than 64 KiB")
    try:
        message.ParseFromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("a control message is malformed") from exc


@dataclass(frozen=True, slots=True)
class HelloFields:
    """`peerkit.wire.v1.Hello`; offers are (id, version, accepts, mandatory)."""

    features: int
    aeads: tuple[int, ...]
    purpose: int
    protocols: tuple[tuple[str, str, str, bool], ...]
    clock_ms: int
    stream_window: int
    session_window: int
    max_streams: int
    wrappers: tuple[str, ...]


def encode_hello(hello: HelloFields) -> bytes:
    return pb.Hello(
        features=hello.features,
        aeads=hello.aeads,
        purpose=hello.purpose,
        protocols=[pb.ProtocolOffer(id=i, version=v, accepts=a, mandatory=m) for i, v, a, m in hello.protocols],
        clock_ms=hello.clock_ms,
        stream_window=hello.stream_window,
        session_window=hello.session_window,
        max_streams=hello.max_streams,
        wrappers=hello.wrappers,
    ).SerializeToString()


def decode_hello(data: bytes) -> HelloFields:
    message = pb.Hello()
    _parse(message, data)
    if len(message.aeads) > 16 or len(message.protocols) > 256 or len(message.wrappers) > 16:
        raise RemoteProtocolError("a Hello repeats a field too often")
    return HelloFields(
        message.features,
        tuple(message.aeads),
        message.purpose,
        tuple((p.id, p.version, p.accepts, p.mandatory) for p in message.protocols),
        message.clock_ms,
        message.stream_window,
        message.session_window,
        message.max_streams,
        tuple(message.wrappers),
    )
