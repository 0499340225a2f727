import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerkit._control.progress import MIN_INTERVAL_S, ProgressThrottle
from peerkit._control.wire import (
    MAX_LINE_BYTES,
    CallReceived,
    CancelReceived,
    ErrorReceived,
    Hello,
    LineRefused,
    LineSplitter,
    Progress,
    ProgressReceived,
    ResultReceived,
    encode,
    encode_reply,
    parse_reply,
    parse_request,
    parse_token,
)
from peerkit.errors import LimitExceeded, NotFound, PeerkitError, TrustDenied, UsageError, from_wire, to_wire


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line)), st.lists(st.integers(1, 20), min_size=1)
)
def test_lines_come_out_whole_however_the_bytes_arrive(lines: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    splitter = LineSplitter(40)
    out: list[bytes | None] = []
    turn = 0
    while stream:
        size = sizes[turn % len(sizes)]
        out += splitter.receive_data(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert out == lines


def test_a_line_that_is_too_long_is_dropped_and_the_next_one_read() -> None:
    splitter = LineSplitter(10)
    assert splitter.receive_data(b"x" * 11) == []
    assert splitter.receive_data(b"x" * 1000 + b"\nnext") == [None]
    assert splitter.receive_data(b"\n") == [b"next"]


@settings(deadline=None)  # the machine may be busy
@given(st.binary() | st.text().map(str.encode))
def test_no_line_of_a_caller_raises(line: bytes) -> None:
    assert isinstance(parse_request(line), CallReceived | CancelReceived | LineRefused)


fields = st.sampled_from(["id", "op", "args", "cancel"])
plain = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


@settings(deadline=None)
@given(st.recursive(plain, lambda value: st.dictionaries(fields, value), max_leaves=6))
def test_no_json_of_a_caller_raises(value: object) -> None:
    assert isinstance(parse_request(json.dumps(value).encode()), CallReceived | CancelReceived | LineRefused)


@settings(deadline=None)  # the machine may be busy
@given(st.binary())
def test_a_line_that_is_no_reply_is_a_usage_error(line: bytes) -> None:
    with pytest.raises(UsageError):
        parse_reply(line)


def test_calls_and_cancels_are_read() -> None:
    assert parse_request(b'{"id": 1, "op": "ls", "args": {"a": [1]}}') == CallReceived(1, "ls", {"a": [1]})
    assert parse_request(b'{"id": "x", "op": "ls"}') == CallReceived("x", "ls", {})
    assert parse_request(b'{"id": "x", "cancel": true}') == CancelReceived("x")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"", "the line is not JSON"),
        (b"\xff", "the line is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 10_000, "the line is not JSON"),
        (b'{"id": 1, "op": "x", "args": {"a": NaN}}', "NaN is no JSON"),
        (b"[]", "not a list"),
        (b"null", "not null"),
        (b'{"op": "ls"}', "`id` must be"),
        (b'{"id": true, "op": "ls"}', "`id` must be"),
        (b'{"id": "%b", "op": "ls"}' % (b"x" * 65), "64 characters"),
        (b'{"id": 1}', "`op` must"),
        (b'{"id": 1, "op": "ls", "args": []}', "`args` must"),
        (b'{"id": 1, "op": "ls", "arg": {}}', "not `arg`"),
        (b'{"id": 1, "cancel": 1}', "`cancel` must be true"),
    ],
)
def test_a_bad_line_is_refused_with_its_reason(line: bytes, sentence: str) -> None:
    refused = parse_request(line)
    assert isinstance(refused, LineRefused)
    assert sentence in refused.error.message


def test_a_refused_line_keeps_the_id_that_could_be_read() -> None:
    refused = parse_request(b'{"id": 7, "op": "ls", "args": []}')
    assert isinstance(refused, LineRefused)
    assert refused.id == 7


def test_only_an_ascii_text_is_a_token() -> None:
    assert parse_token(b'{"token": "abc"}') == "abc"
    assert parse_token('{"token": "é"}'.encode()) is None
    assert parse_token(b"POST / HTTP/1.1\r\n") is None
    assert parse_token(None) is None


def test_replies_survive_the_way() -> None:
    assert parse_reply(encode({"peerkit": "0.1.0", "api": 1, "peer_id": "p"})) == Hello("0.1.0", 1, "p")
    assert parse_reply(encode_reply("a", "result", b"[1]")) == ResultReceived("a", [1])
    line = encode_reply(3, "progress", b'{"done": 1, "total": null, "unit": "bytes", "text": ""}')
    assert parse_reply(line) == ProgressReceived(3, Progress(1, None, "bytes", ""))


def test_an_error_keeps_its_class_and_fields() -> None:
    reply = parse_reply(encode({"id": 1, "error": to_wire(TrustDenied("dialling", "denylist", "listed"))}))
    assert isinstance(reply, ErrorReceived)
    assert isinstance(reply.error, TrustDenied)
    assert str(reply.error) == "dialling was denied by denylist: listed"
    assert (reply.error.policy, reply.error.exit_status) == ("denylist", 5)


class LinkGone(NotFound):
    code = "link_gone"


def test_an_error_of_an_unknown_class_becomes_its_nearest_known_one() -> None:
    described = to_wire(LinkGone("it is gone"))
    assert described["base"] == "not_found"
    error = from_wire("a_class_from_elsewhere", "it is gone", {}, base="not_found")
    assert type(error) is NotFound
    assert (error.code, error.exit_status) == ("a_class_from_elsewhere", 3)
    assert type(from_wire("?", "", {}, base="?")) is PeerkitError


def test_a_line_that_would_be_too_long_is_not_sent() -> None:
    with pytest.raises(LimitExceeded):
        encode_reply(1, "result", b'"' + b"x" * MAX_LINE_BYTES + b'"')


def test_progress_is_thinned_and_the_last_one_is_kept() -> None:
    throttle = ProgressThrottle()
    sent = [throttle.offer(Progress(n), now=n / 128) for n in range(35)]
    assert [progress.done for progress in sent if progress] == [0, 13, 26]
    assert throttle.due_at == pytest.approx(26 / 128 + MIN_INTERVAL_S)
    assert throttle.take(4 * MIN_INTERVAL_S) == Progress(34)
    assert throttle.take(4 * MIN_INTERVAL_S) is None
    assert throttle.due_at is None
