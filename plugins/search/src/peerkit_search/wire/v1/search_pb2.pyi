from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Posting(_message.Message):
    __slots__ = ("publisher", "content", "sequence", "expires_ms", "withdrawn", "title", "size_bytes", "type", "terms")
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    publisher: bytes
    content: bytes
    sequence: int
    expires_ms: int
    withdrawn: bool
    title: str
    size_bytes: int
    type: str
    terms: bytes
    def __init__(self, publisher: _Optional[bytes] = ..., content: _Optional[bytes] = ..., sequence: _Optional[int] = ..., expires_ms: _Optional[int] = ..., withdrawn: bool = ..., title: _Optional[str] = ..., size_bytes: _Optional[int] = ..., type: _Optional[str] = ..., terms: _Optional[bytes] = ...) -> None: ...

class Item(_message.Message):
    __slots__ = ("posting", "index_under", "ticket")
    POSTING_FIELD_NUMBER: _ClassVar[int]
    INDEX_UNDER_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    posting: bytes
    index_under: int
    ticket: bytes
    def __init__(self, posting: _Optional[bytes] = ..., index_under: _Optional[int] = ..., ticket: _Optional[bytes] = ...) -> None: ...

class Store(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Item]
    def __init__(self, items: _Optional[_Iterable[_Union[Item, _Mapping]]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("code", "wait_ms", "ticket")
    CODE_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    code: int
    wait_ms: int
    ticket: bytes
    def __init__(self, code: _Optional[int] = ..., wait_ms: _Optional[int] = ..., ticket: _Optional[bytes] = ...) -> None: ...

class StoreAnswer(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ...) -> None: ...

class Word(_message.Message):
    __slots__ = ("alternatives",)
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    alternatives: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, alternatives: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Query(_message.Message):
    __slots__ = ("key", "words", "limit", "type")
    KEY_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    words: _containers.RepeatedCompositeFieldContainer[Word]
    limit: int
    type: str
    def __init__(self, key: _Optional[bytes] = ..., words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ..., limit: _Optional[int] = ..., type: _Optional[str] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("posting", "neighbourhood")
    POSTING_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURHOOD_FIELD_NUMBER: _ClassVar[int]
    posting: bytes
    neighbourhood: int
    def __init__(self, posting: _Optional[bytes] = ..., neighbourhood: _Optional[int] = ...) -> None: ...

class QueryAnswer(_message.Message):
    __slots__ = ("hits", "matches", "count")
    HITS_FIELD_NUMBER: _ClassVar[int]
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    matches: int
    count: int
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., matches: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class Count(_message.Message):
    __slots__ = ("terms",)
    TERMS_FIELD_NUMBER: _ClassVar[int]
    terms: bytes
    def __init__(self, terms: _Optional[bytes] = ...) -> None: ...

class CountAnswer(_message.Message):
    __slots__ = ("counts",)
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, counts: _Optional[_Iterable[int]] = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("store", "query", "count")
    STORE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    store: Store
    query: Query
    count: Count
    def __init__(self, store: _Optional[_Union[Store, _Mapping]] = ..., query: _Optional[_Union[Query, _Mapping]] = ..., count: _Optional[_Union[Count, _Mapping]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("store", "query", "count")
    STORE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    store: StoreAnswer
    query: QueryAnswer
    count: CountAnswer
    def __init__(self, store: _Optional[_Union[StoreAnswer, _Mapping]] = ..., query: _Optional[_Union[QueryAnswer, _Mapping]] = ..., count: _Optional[_Union[CountAnswer, _Mapping]] = ...) -> None: ...
