from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Reserve(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Connect(_message.Message):
    __slots__ = ("target",)
    TARGET_FIELD_NUMBER: _ClassVar[int]
    target: bytes
    def __init__(self, target: _Optional[bytes] = ...) -> None: ...

class Incoming(_message.Message):
    __slots__ = ("dialer", "circuit")
    DIALER_FIELD_NUMBER: _ClassVar[int]
    CIRCUIT_FIELD_NUMBER: _ClassVar[int]
    dialer: bytes
    circuit: Circuit
    def __init__(self, dialer: _Optional[bytes] = ..., circuit: _Optional[_Union[Circuit, _Mapping]] = ...) -> None: ...

class Close(_message.Message):
    __slots__ = ("circuit", "reason")
    CIRCUIT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    circuit: int
    reason: str
    def __init__(self, circuit: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Ask(_message.Message):
    __slots__ = ("reserve", "connect", "incoming", "close")
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    CONNECT_FIELD_NUMBER: _ClassVar[int]
    INCOMING_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    reserve: Reserve
    connect: Connect
    incoming: Incoming
    close: Close
    def __init__(self, reserve: _Optional[_Union[Reserve, _Mapping]] = ..., connect: _Optional[_Union[Connect, _Mapping]] = ..., incoming: _Optional[_Union[Incoming, _Mapping]] = ..., close: _Optional[_Union[Close, _Mapping]] = ...) -> None: ...

class Circuit(_message.Message):
    __slots__ = ("id", "max_datagram_bytes", "life_s", "max_bytes")
    ID_FIELD_NUMBER: _ClassVar[int]
    MAX_DATAGRAM_BYTES_FIELD_NUMBER: _ClassVar[int]
    LIFE_S_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    id: int
    max_datagram_bytes: int
    life_s: int
    max_bytes: int
    def __init__(self, id: _Optional[int] = ..., max_datagram_bytes: _Optional[int] = ..., life_s: _Optional[int] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class Reservation(_message.Message):
    __slots__ = ("life_s",)
    LIFE_S_FIELD_NUMBER: _ClassVar[int]
    life_s: int
    def __init__(self, life_s: _Optional[int] = ...) -> None: ...
