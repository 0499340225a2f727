from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

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
