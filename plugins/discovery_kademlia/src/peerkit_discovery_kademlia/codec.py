"""The wire messages as plain Python values.  The only module that imports the generated code.

Every decoder takes bytes from outside: length first, then the parse, then counts, then lengths of fields; it raises
nothing but `RemoteProtocolError`.  Signatures and meaning are checked by `announcement.py` and `namespaces.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import DecodeError, Message

from peerkit.errors import RemoteProtocolError

from .keys import KEY_BYTES
from .ping import GRANT_BYTES
from .wire.v1 import kademlia_pb2 as pb

MAX_MESSAGE_BYTES = 65_536
MAX_NODES = 20  # k; bounds what one liar can make a lookup rank
MAX_PROVIDERS = 32  # of one answer: 32 × (1 KiB record + 256) leave room for the nodes
MAX_ANNOUNCEMENTS = 64  # of one request: 64 signature checks are 3.5 ms
MAX_SALT_BYTES = 64
_SIGNED_OVERHEAD = 128
MAX_ANNOUNCEMENT_BYTES = 96 + _SIGNED_OVERHEAD
MAX_NODE_BYTES = 1024 + _SIGNED_OVERHEAD
MAX_VALUE_BYTES = 8192  # of any namespace


@dataclass(frozen=True, slots=True)
class FindNode:
    key: bytes


@dataclass(frozen=True, slots=True)
class GetProviders:
    key: bytes


@dataclass(frozen=True, slots=True)
class AddProvider:
    announcements: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class GetValue:
    namespace: int
    key: bytes


@dataclass(frozen=True, slots=True)
class PutValue:
    namespace: int
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    pass


Request: TypeAlias = FindNode | GetProviders | AddProvider | GetValue | PutValue | Ping


@dataclass(frozen=True, slots=True)
class Provider:
    """An announcement and the provider's record, both signed and as they came; `record` may be empty."""

    announcement: bytes
    record: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Every answer; fields that do not belong to the question are empty."""

    nodes: Sequence[bytes] = ()
    providers: Sequence[Provider] = ()
    value: bytes = b""
    kept: int = 0
    grant: bytes = b""


def encode_request(request: Request) -> bytes:
    match request:
        case FindNode(key):
            message = pb.Request(find_node=pb.FindNode(key=key))
        case GetProviders(key):
            message = pb.Request(get_providers=pb.GetProviders(key=key))
        case AddProvider(announcements):
            message = pb.Request(add_provider=pb.AddProvider(announcements=announcements))
        case GetValue(namespace, key):
            message = pb.Request(get_value=pb.GetValue(namespace=namespace, key=key))
        case PutValue(namespace, key, value):
            message = pb.Request(put_value=pb.PutValue(namespace=namespace, key=key, value=value))
        case Ping():
            message = pb.Request(ping=pb.Ping())
    return message.SerializeToString()


def decode_request(data: bytes) -> Request:
    """Raises `RemoteProtocolError`."""
    message = pb.Request()
    _parse(message, data)
    match message.WhichOneof("kind"):
        case "find_node":
            return FindNode(_key(message.find_node.key))
        case "get_providers":
            return GetProviders(_key(message.get_providers.key))
        case "add_provider":
            found = message.add_provider.announcements
            if not 1 <= len(found) <= MAX_ANNOUNCEMENTS or any(len(a) > MAX_ANNOUNCEMENT_BYTES for a in found):
                raise RemoteProtocolError("a store names no provider record, too many or a too long one")
            return AddProvider(tuple(found))
        case "get_value":
            return GetValue(message.get_value.namespace, _key(message.get_value.key))
        case "put_value":
            put = message.put_value
            if not 1 <= len(put.value) <= MAX_VALUE_BYTES + _SIGNED_OVERHEAD:
                raise RemoteProtocolError(f"a value of {len(put.value)} bytes is refused")
            return PutValue(put.namespace, _key(put.key), put.value)
        case "ping":
            return Ping()
        case _:
            raise RemoteProtocolError("a request of an unknown kind")


def encode_answer(answer: Answer) -> bytes:
    message = pb.Answer(nodes=answer.nodes, value=answer.value, kept=answer.kept, grant=answer.grant)
    if answer.providers:
        message.providers.extend(pb.Provider(announcement=p.announcement, record=p.record) for p in answer.providers)
    return message.SerializeToString()


def decode_answer(data: bytes) -> Answer:
    """Raises `RemoteProtocolError`."""
    message = pb.Answer()
    _parse(message, data)
    if len(message.nodes) > MAX_NODES or len(message.providers) > MAX_PROVIDERS:
        raise RemoteProtocolError("an answer names more peers than allowed")
    nodes = tuple(message.nodes)
    if nodes and max(map(len, nodes)) > MAX_NODE_BYTES:
        raise RemoteProtocolError("an answer holds a peer record that is too long")
    if len(message.value) > MAX_VALUE_BYTES + _SIGNED_OVERHEAD:
        raise RemoteProtocolError("an answer holds a value that is too long")
    providers = tuple(Provider(p.announcement, p.record) for p in message.providers)
    if any(len(p.announcement) > MAX_ANNOUNCEMENT_BYTES or len(p.record) > MAX_NODE_BYTES for p in providers):
        raise RemoteProtocolError("an answer holds a provider record that is too long")
    if len(message.grant) not in (0, GRANT_BYTES):
        raise RemoteProtocolError(f"an answer holds a grant of {len(message.grant)} bytes")
    return Answer(nodes, providers, message.value, message.kept, message.grant)


@dataclass(frozen=True, slots=True)
class AnnouncementFields:
    """`Announcement`, its lengths checked, its signature not."""

    provider: bytes
    key: bytes
    issued_ms: int
    expires_ms: int


def encode_announcement(fields: AnnouncementFields) -> bytes:
    return pb.Announcement(
        provider=fields.provider, key=fields.key, issued_ms=fields.issued_ms, expires_ms=fields.expires_ms
    ).SerializeToString()


def decode_announcement(body: bytes) -> AnnouncementFields:
    """Raises `RemoteProtocolError`."""
    message = pb.Announcement()
    _parse(message, body)
    provider, key = _key(message.provider), _key(message.key)
    return AnnouncementFields(provider, key, message.issued_ms, message.expires_ms)


@dataclass(frozen=True, slots=True)
class MutableFields:
    """`Mutable`, its lengths checked, its signature not."""

    author: bytes
    salt: bytes
    sequence: int
    value: bytes


def encode_mutable(fields: MutableFields) -> bytes:
    return pb.Mutable(
        author=fields.author, salt=fields.salt, sequence=fields.sequence, value=fields.value
    ).SerializeToString()


def decode_mutable(body: bytes) -> MutableFields:
    """Raises `RemoteProtocolError`."""
    message = pb.Mutable()
    _parse(message, body)
    if len(message.salt) > MAX_SALT_BYTES:
        raise RemoteProtocolError(f"a salt of {len(message.salt)} bytes is longer than {MAX_SALT_BYTES}")
    return MutableFields(_key(message.author), message.salt, message.sequence, message.value)


def _key(data: bytes) -> bytes:
    if len(data) != KEY_BYTES:
        raise RemoteProtocolError(f"a key of {len(data)} bytes: it must have {KEY_BYTES}")
    return data


def _parse(message: Message, data: bytes) -> None:
    if len(data) > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"a message of {len(data)} bytes is longer than 64 KiB")
    try:
        message.ParseFromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("a message is malformed") from exc
