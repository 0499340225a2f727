from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Origin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORIGIN_UNSPECIFIED: _ClassVar[Origin]
    ORIGIN_OTHER_PORT: _ClassVar[Origin]
    ORIGIN_OTHER_ADDRESS: _ClassVar[Origin]

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_UNSPECIFIED: _ClassVar[Status]
    STATUS_PAY: _ClassVar[Status]
    STATUS_TRYING: _ClassVar[Status]
    STATUS_ARRIVED: _ClassVar[Status]
    STATUS_NOT_ARRIVED: _ClassVar[Status]
    STATUS_REFUSED: _ClassVar[Status]
    STATUS_BUSY: _ClassVar[Status]
    STATUS_NO_HELPER: _ClassVar[Status]
ORIGIN_UNSPECIFIED: Origin
ORIGIN_OTHER_PORT: Origin
ORIGIN_OTHER_ADDRESS: Origin
STATUS_UNSPECIFIED: Status
STATUS_PAY: Status
STATUS_TRYING: Status
STATUS_ARRIVED: Status
STATUS_NOT_ARRIVED: Status
STATUS_REFUSED: Status
STATUS_BUSY: Status
STATUS_NO_HELPER: Status

class Observe(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Observed(_message.Message):
    __slots__ = ("host", "port")
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    host: bytes
    port: int
    def __init__(self, host: _Optional[bytes] = ..., port: _Optional[int] = ...) -> None: ...

class DialBack(_message.Message):
    __slots__ = ("scheme", "host", "port", "token", "origin", "padding")
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    scheme: str
    host: bytes
    port: int
    token: bytes
    origin: Origin
    padding: bytes
    def __init__(self, scheme: _Optional[str] = ..., host: _Optional[bytes] = ..., port: _Optional[int] = ..., token: _Optional[bytes] = ..., origin: _Optional[_Union[Origin, str]] = ..., padding: _Optional[bytes] = ...) -> None: ...

class Reply(_message.Message):
    __slots__ = ("status", "owed_bytes")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    OWED_BYTES_FIELD_NUMBER: _ClassVar[int]
    status: Status
    owed_bytes: int
    def __init__(self, status: _Optional[_Union[Status, str]] = ..., owed_bytes: _Optional[int] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    def __init__(self, nonce: _Optional[bytes] = ...) -> None: ...
