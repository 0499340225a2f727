from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Nat(_message.Message):
    __slots__ = ("mapping", "filtering", "port_step", "private_addresses")
    MAPPING_FIELD_NUMBER: _ClassVar[int]
    FILTERING_FIELD_NUMBER: _ClassVar[int]
    PORT_STEP_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    mapping: int
    filtering: int
    port_step: int
    private_addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, mapping: _Optional[int] = ..., filtering: _Optional[int] = ..., port_step: _Optional[int] = ..., private_addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class Offer(_message.Message):
    __slots__ = ("asker", "target", "nonce", "session", "number", "expires_ms", "strategy", "nat")
    ASKER_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    NAT_FIELD_NUMBER: _ClassVar[int]
    asker: bytes
    target: bytes
    nonce: bytes
    session: bytes
    number: int
    expires_ms: int
    strategy: int
    nat: Nat
    def __init__(self, asker: _Optional[bytes] = ..., target: _Optional[bytes] = ..., nonce: _Optional[bytes] = ..., session: _Optional[bytes] = ..., number: _Optional[int] = ..., expires_ms: _Optional[int] = ..., strategy: _Optional[int] = ..., nat: _Optional[_Union[Nat, _Mapping]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("asker", "target", "offer_nonce", "nonce", "refusal", "nat")
    ASKER_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    OFFER_NONCE_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    NAT_FIELD_NUMBER: _ClassVar[int]
    asker: bytes
    target: bytes
    offer_nonce: bytes
    nonce: bytes
    refusal: str
    nat: Nat
    def __init__(self, asker: _Optional[bytes] = ..., target: _Optional[bytes] = ..., offer_nonce: _Optional[bytes] = ..., nonce: _Optional[bytes] = ..., refusal: _Optional[str] = ..., nat: _Optional[_Union[Nat, _Mapping]] = ...) -> None: ...

class Introduce(_message.Message):
    __slots__ = ("target", "offer")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    target: bytes
    offer: bytes
    def __init__(self, target: _Optional[bytes] = ..., offer: _Optional[bytes] = ...) -> None: ...

class Introduced(_message.Message):
    __slots__ = ("answer", "observed", "yours")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    YOURS_FIELD_NUMBER: _ClassVar[int]
    answer: bytes
    observed: _containers.RepeatedScalarFieldContainer[str]
    yours: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, answer: _Optional[bytes] = ..., observed: _Optional[_Iterable[str]] = ..., yours: _Optional[_Iterable[str]] = ...) -> None: ...

class Meet(_message.Message):
    __slots__ = ("offer", "observed", "yours", "rtt_us")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    YOURS_FIELD_NUMBER: _ClassVar[int]
    RTT_US_FIELD_NUMBER: _ClassVar[int]
    offer: bytes
    observed: _containers.RepeatedScalarFieldContainer[str]
    yours: _containers.RepeatedScalarFieldContainer[str]
    rtt_us: int
    def __init__(self, offer: _Optional[bytes] = ..., observed: _Optional[_Iterable[str]] = ..., yours: _Optional[_Iterable[str]] = ..., rtt_us: _Optional[int] = ...) -> None: ...

class Met(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: bytes
    def __init__(self, answer: _Optional[bytes] = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("introduce", "meet")
    INTRODUCE_FIELD_NUMBER: _ClassVar[int]
    MEET_FIELD_NUMBER: _ClassVar[int]
    introduce: Introduce
    meet: Meet
    def __init__(self, introduce: _Optional[_Union[Introduce, _Mapping]] = ..., meet: _Optional[_Union[Meet, _Mapping]] = ...) -> None: ...
