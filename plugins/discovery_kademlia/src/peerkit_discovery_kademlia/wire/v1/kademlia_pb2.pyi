from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FindNode(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    def __init__(self, key: _Optional[bytes] = ...) -> None: ...

class GetProviders(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    def __init__(self, key: _Optional[bytes] = ...) -> None: ...

class AddProvider(_message.Message):
    __slots__ = ("announcements",)
    ANNOUNCEMENTS_FIELD_NUMBER: _ClassVar[int]
    announcements: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, announcements: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GetValue(_message.Message):
    __slots__ = ("namespace", "key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: int
    key: bytes
    def __init__(self, namespace: _Optional[int] = ..., key: _Optional[bytes] = ...) -> None: ...

class PutValue(_message.Message):
    __slots__ = ("namespace", "key", "value")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    namespace: int
    key: bytes
    value: bytes
    def __init__(self, namespace: _Optional[int] = ..., key: _Optional[bytes] = ..., value: _Optional[bytes] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Request(_message.Message):
    __slots__ = ("find_node", "get_providers", "add_provider", "get_value", "put_value", "ping")
    FIND_NODE_FIELD_NUMBER: _ClassVar[int]
    GET_PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    ADD_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    GET_VALUE_FIELD_NUMBER: _ClassVar[int]
    PUT_VALUE_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    find_node: FindNode
    get_providers: GetProviders
    add_provider: AddProvider
    get_value: GetValue
    put_value: PutValue
    ping: Ping
    def __init__(self, find_node: _Optional[_Union[FindNode, _Mapping]] = ..., get_providers: _Optional[_Union[GetProviders, _Mapping]] = ..., add_provider: _Optional[_Union[AddProvider, _Mapping]] = ..., get_value: _Optional[_Union[GetValue, _Mapping]] = ..., put_value: _Optional[_Union[PutValue, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ...) -> None: ...

class Provider(_message.Message):
    __slots__ = ("announcement", "record")
    ANNOUNCEMENT_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    announcement: bytes
    record: bytes
    def __init__(self, announcement: _Optional[bytes] = ..., record: _Optional[bytes] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("nodes", "providers", "value", "kept", "grant")
    NODES_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedScalarFieldContainer[bytes]
    providers: _containers.RepeatedCompositeFieldContainer[Provider]
    value: bytes
    kept: int
    grant: bytes
    def __init__(self, nodes: _Optional[_Iterable[bytes]] = ..., providers: _Optional[_Iterable[_Union[Provider, _Mapping]]] = ..., value: _Optional[bytes] = ..., kept: _Optional[int] = ..., grant: _Optional[bytes] = ...) -> None: ...

class Announcement(_message.Message):
    __slots__ = ("provider", "key", "issued_ms", "expires_ms")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ISSUED_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    provider: bytes
    key: bytes
    issued_ms: int
    expires_ms: int
    def __init__(self, provider: _Optional[bytes] = ..., key: _Optional[bytes] = ..., issued_ms: _Optional[int] = ..., expires_ms: _Optional[int] = ...) -> None: ...

class Mutable(_message.Message):
    __slots__ = ("author", "salt", "sequence", "value")
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    author: bytes
    salt: bytes
    sequence: int
    value: bytes
    def __init__(self, author: _Optional[bytes] = ..., salt: _Optional[bytes] = ..., sequence: _Optional[int] = ..., value: _Optional[bytes] = ...) -> None: ...
