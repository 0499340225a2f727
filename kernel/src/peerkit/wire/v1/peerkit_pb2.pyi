from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Signed(_message.Message):
    __slots__ = ("body", "signature")
    BODY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    signature: bytes
    def __init__(self, body: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ProtocolVersion(_message.Message):
    __slots__ = ("id", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: str
    def __init__(self, id: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class PeerRecord(_message.Message):
    __slots__ = ("key", "sequence", "issued_ms", "expires_ms", "network_id", "addresses", "static_key", "protocols", "client")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ISSUED_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    STATIC_KEY_FIELD_NUMBER: _ClassVar[int]
    PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    sequence: int
    issued_ms: int
    expires_ms: int
    network_id: bytes
    addresses: _containers.RepeatedScalarFieldContainer[str]
    static_key: bytes
    protocols: _containers.RepeatedCompositeFieldContainer[ProtocolVersion]
    client: bool
    def __init__(self, key: _Optional[bytes] = ..., sequence: _Optional[int] = ..., issued_ms: _Optional[int] = ..., expires_ms: _Optional[int] = ..., network_id: _Optional[bytes] = ..., addresses: _Optional[_Iterable[str]] = ..., static_key: _Optional[bytes] = ..., protocols: _Optional[_Iterable[_Union[ProtocolVersion, _Mapping]]] = ..., client: bool = ...) -> None: ...

class ProtocolOffer(_message.Message):
    __slots__ = ("id", "version", "accepts", "mandatory")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_FIELD_NUMBER: _ClassVar[int]
    MANDATORY_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: str
    accepts: str
    mandatory: bool
    def __init__(self, id: _Optional[str] = ..., version: _Optional[str] = ..., accepts: _Optional[str] = ..., mandatory: bool = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("features", "aeads", "purpose", "protocols", "clock_ms", "stream_window", "session_window", "max_streams", "wrappers")
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    AEADS_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_MS_FIELD_NUMBER: _ClassVar[int]
    STREAM_WINDOW_FIELD_NUMBER: _ClassVar[int]
    SESSION_WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_STREAMS_FIELD_NUMBER: _ClassVar[int]
    WRAPPERS_FIELD_NUMBER: _ClassVar[int]
    features: int
    aeads: _containers.RepeatedScalarFieldContainer[int]
    purpose: int
    protocols: _containers.RepeatedCompositeFieldContainer[ProtocolOffer]
    clock_ms: int
    stream_window: int
    session_window: int
    max_streams: int
    wrappers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, features: _Optional[int] = ..., aeads: _Optional[_Iterable[int]] = ..., purpose: _Optional[int] = ..., protocols: _Optional[_Iterable[_Union[ProtocolOffer, _Mapping]]] = ..., clock_ms: _Optional[int] = ..., stream_window: _Optional[int] = ..., session_window: _Optional[int] = ..., max_streams: _Optional[int] = ..., wrappers: _Optional[_Iterable[str]] = ...) -> None: ...
