"""The messages' bytes and their bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_search import codec
from peerkit_search.codec import (
    CountAnswer,
    CountRequest,
    Hit,
    Outcome,
    OutcomeCode,
    QueryAnswer,
    QueryRequest,
    StoreAnswer,
    StoreItem,
    StoreRequest,
)
from peerkit_search.wire.v1 import search_pb2 as pb

from peerkit.errors import RemoteProtocolError

A, B, C = b"aaaaaa", b"bbbbbb", b"cccccc"

# Golden bytes: a change here is a change of the protocol.
REQUESTS = [
    (StoreRequest((StoreItem(b"post", 5, b"t" * 32),)), "0a2c0a2a0a04706f737410051a20" + "74" * 32),
    (
        QueryRequest(A, ((frozenset({A}),), (frozenset({B, C}), frozenset({B}))), 20, "video"),
        "12330a06616161616161" "12080a06616161616161" "12160a0c626262626262636363636363" "0a06626262626262"
        "18142205766964656f",
    ),
    (CountRequest((A, B)), "1a0e0a0c616161616161626262626262"),
]  # fmt: skip
ANSWERS = [
    (
        StoreAnswer((Outcome(OutcomeCode.STORED), Outcome(OutcomeCode.WAIT, 1.5, b"t" * 32))),
        "0a2b" "0a00" "0a27" "0801" "10dc0b" "1a20" + "74" * 32,
    ),
    (QueryAnswer((Hit(b"post", 7),), 3, 9), "12110a0b0a04706f73741507000000100318" "09"),
    (CountAnswer((3, 0)), "1a040a020300"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "golden"), REQUESTS)
def test_requests_have_golden_bytes(request_: codec.Request, golden: str) -> None:
    assert codec.encode_request(request_).hex() == golden
    assert codec.decode_request(bytes.fromhex(golden)) == request_


@pytest.mark.parametrize(("answer", "golden"), ANSWERS)
def test_answers_have_golden_bytes(answer: codec.Answer, golden: str) -> None:
    assert codec.encode_answer(answer).hex() == golden
    assert codec.decode_answer(bytes.fromhex(golden)) == answer


BAD_REQUESTS = {
    "nothing": pb.Request(),
    "an empty store": pb.Request(store=pb.Store()),
    "129 items": pb.Request(store=pb.Store(items=[pb.Item()] * 129)),
    "a ticket of 31 bytes": pb.Request(store=pb.Store(items=[pb.Item(ticket=bytes(31))])),
    "no words": pb.Request(query=pb.Query(key=A)),
    "13 words": pb.Request(query=pb.Query(key=A, words=[pb.Word(alternatives=[A])] * 13)),
    "a word without alternatives": pb.Request(query=pb.Query(key=A, words=[pb.Word()])),
    "9 alternatives": pb.Request(query=pb.Query(key=A, words=[pb.Word(alternatives=[A] * 9)])),
    "an empty alternative": pb.Request(query=pb.Query(key=A, words=[pb.Word(alternatives=[b""])])),
    "a key of 5 bytes": pb.Request(query=pb.Query(key=b"aaaaa", words=[pb.Word(alternatives=[A])])),
    "a long type": pb.Request(query=pb.Query(key=A, words=[pb.Word(alternatives=[A])], type="x" * 49)),
    "a count of nothing": pb.Request(count=pb.Count()),
    "25 counts": pb.Request(count=pb.Count(terms=A * 25)),
}


@pytest.mark.parametrize("message", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_bad_requests_are_refused(message: pb.Request) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.decode_request(message.SerializeToString())


BAD_ANSWERS = {
    "nothing": pb.Answer(),
    "101 hits": pb.Answer(query=pb.QueryAnswer(hits=[pb.Hit()] * 101)),
    "129 outcomes": pb.Answer(store=pb.StoreAnswer(outcomes=[pb.Outcome()] * 129)),
    "an unknown outcome": pb.Answer(store=pb.StoreAnswer(outcomes=[pb.Outcome(code=3)])),
    "a wait of days": pb.Answer(store=pb.StoreAnswer(outcomes=[pb.Outcome(code=1, wait_ms=2**31)])),
    "25 counts": pb.Answer(count=pb.CountAnswer(counts=[1] * 25)),
}


@pytest.mark.parametrize("message", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_bad_answers_are_refused(message: pb.Answer) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.decode_answer(message.SerializeToString())


def test_a_message_over_64_kib_is_refused_unread() -> None:
    with pytest.raises(RemoteProtocolError, match="longer than 64 KiB"):
        codec.decode_request(bytes(65_537))


@given(st.binary(max_size=300))
def test_no_bytes_make_decoding_raise_anything_else(data: bytes) -> None:
    for decode in (codec.decode_request, codec.decode_answer, codec.decode_posting):
        try:
            decode(data)
        except RemoteProtocolError:
            continue


def test_store_requests_are_cut_to_fit() -> None:
    chunks = codec.chunked([StoreItem(bytes(512), 1, bytes(32)) for _ in range(300)])
    assert sum(map(len, chunks)) == 300
    assert all(len(codec.encode_request(StoreRequest(chunk))) <= codec.MAX_MESSAGE_BYTES for chunk in chunks)
    assert len(codec.chunked([StoreItem(bytes(200), 1) for _ in range(128)])) == 1
