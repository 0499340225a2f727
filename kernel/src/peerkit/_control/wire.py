"""The control protocol's lines: JSON objects of at most 1 MiB, both directions, pure.

    node   → caller   {"peerkit": version, "api": 1, "peer_id": …}                    once, first
    caller → node     {"id", "op", "args"} · {"id", "cancel": true}
    node   → caller   {"id", "progress": {done, total, unit, text}}*                  at most 10 a second
                      {"id", "item": …}*                                              parts told before the end
                      {"id", "part": […]}*                                            a long list, in pieces
                      {"id", "result": …}  or  {"id", "error": {code, message, details, base}}

Where there are no Unix sockets the caller's first line is {"token": …}.  Bytes in, typed messages out; a bad line
becomes a `LineRefused` and the next line is read as usual.  Imports nothing heavy: the command line starts with it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import LimitExceeded, PeerkitError, UsageError, from_wire

API = 1
MAX_LINE_BYTES = 1 << 20  # bounds what one line can make either side hold and parse
MAX_ID_CHARS = 64

_TYPE_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a truth value",
    int: "a number",
    float: "a number",
}

CallId = int | str
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


@dataclass(frozen=True, slots=True)
class CallReceived:
    id: CallId
    op: str
    args: "dict[str, Json]"


@dataclass(frozen=True, slots=True)
class CancelReceived:
    id: CallId


@dataclass(frozen=True, slots=True)
class LineRefused:
    """`id` is known when the line could be read that far."""

    id: CallId | None
    error: PeerkitError


@dataclass(frozen=True, slots=True)
class Hello:
    version: str
    api: int
    peer_id: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation is.  `total` is `None` when nobody knows; `unit` is `bytes` or a word."""

    done: float
    total: float | None = None
    unit: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ProgressReceived:
    id: CallId
    progress: Progress


@dataclass(frozen=True, slots=True)
class ItemReceived:
    id: CallId
    item: Json


@dataclass(frozen=True, slots=True)
class PartReceived:
    id: CallId
    part: list[Json]


@dataclass(frozen=True, slots=True)
class ResultReceived:
    id: CallId
    result: Json


@dataclass(frozen=True, slots=True)
class ErrorReceived:
    """`id` is `None` when the node could not tell which call the line was about."""

    id: CallId | None
    error: PeerkitError


Reply = Hello | ProgressReceived | ItemReceived | PartReceived | ResultReceived | ErrorReceived


class LineSplitter:
    """Cuts a byte stream into lines.

    Args:
        max_bytes: a longer line is thrown away up to its end, so that a caller that sends no newline costs no memory.
    """

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self.max_bytes = max_bytes
        self._buffer = bytearray()
        self._skipping = False

    def receive_data(self, data: bytes) -> list[bytes | None]:
        """Complete lines without their ends, in order; `None` stands for a line that was too long."""
        lines: list[bytes | None] = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._append(data[start:end])
            lines.append(None if self._skipping else bytes(self._buffer))
            self._buffer.clear()
            self._skipping = False
            start = end + 1
        self._append(data[start:])
        return lines

    def _append(self, piece: bytes) -> None:
        if self._skipping or len(self._buffer) + len(piece) > self.max_bytes:
            self._skipping = True
            self._buffer.clear()
        else:
            self._buffer += piece


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _parse_object(line: bytes) -> "dict[str, Json]":
    """Raises `UsageError`: not UTF-8, not JSON, too deeply nested, a number of thousands of digits, not an object."""
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except RecursionError:
        raise UsageError("the line is nested too deeply") from None
    except ValueError as exc:
        raise UsageError(f"the line is not JSON: {exc}") from None
    if not isinstance(value, dict):
        raise UsageError(f"a line must be a JSON object, not {_TYPE_NAMES.get(type(value), 'null')}")
    return value


def _call_id(value: object) -> CallId:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UsageError("`id` must be a whole number or a text")
    if len(str(value)) > MAX_ID_CHARS:
        raise UsageError(f"`id` may have {MAX_ID_CHARS} characters")
    return value


def parse_request(line: bytes | None) -> CallReceived | CancelReceived | LineRefused:
    """Read one line of a caller; never raises."""
    call_id: CallId | None = None
    try:
        if line is None:
            raise LimitExceeded(f"a line may have {MAX_LINE_BYTES} bytes; a longer one was dropped")
        value = _parse_object(line)
        call_id = _call_id(value.get("id"))
        if "cancel" in value:
            if value["cancel"] is not True:
                raise UsageError("`cancel` must be true")
            return CancelReceived(call_id)
        op, args = value.get("op"), value.get("args", {})
        if not isinstance(op, str):
            raise UsageError("`op` must name an operation")
        if not isinstance(args, dict):
            raise UsageError("`args` must be an object")
        if unknown := sorted(set(value) - {"id", "op", "args"}):
            raise UsageError(f"a call has `id`, `op` and `args`, not `{unknown[0][:40]}`")
        return CallReceived(call_id, op, args)
    except (UsageError, LimitExceeded) as exc:
        return LineRefused(call_id, exc)


def parse_token(line: bytes | None) -> str | None:
    """The token of a caller's first line, or `None` when it is something else (a browser's request, for one)."""
    try:
        token = _parse_object(line or b"").get("token")
    except UsageError:
        return None
    return token if isinstance(token, str) and token.isascii() else None


def parse_reply(line: bytes | None) -> Reply:
    """Read one line of a node.  Raises `UsageError` when it is not one: something else answers there."""
    value = _parse_object(line or b"")
    match value:
        case {"peerkit": str(version), "api": int(api), "peer_id": str(peer_id)}:
            return Hello(version, api, peer_id)
        case {"id": (int() | str() | None) as call_id, "error": {"code": str(code), "message": str(message), **more}}:
            details, base = more.get("details"), more.get("base", "error")
            return ErrorReceived(
                call_id, from_wire(code, message, details if isinstance(details, dict) else {}, str(base))
            )
        case {"id": (int() | str()) as call_id, "progress": dict(fields)}:
            done, total = fields.get("done"), fields.get("total")
            if isinstance(done, int | float) and isinstance(total, int | float | None):
                text = (str(fields.get("unit", "")), str(fields.get("text", "")))
                return ProgressReceived(call_id, Progress(done, total, *text))
        case {"id": (int() | str()) as call_id, "item": item}:
            return ItemReceived(call_id, item)
        case {"id": (int() | str()) as call_id, "part": list(part)}:
            return PartReceived(call_id, part)
        case {"id": (int() | str()) as call_id, "result": result}:
            return ResultReceived(call_id, result)
        case _:
            pass
    raise UsageError("this is no reply of a node")


def encode(message: Mapping[str, object]) -> bytes:
    """One line.  Raises `LimitExceeded` when it is longer than a line may be."""
    return check_length(json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n")


def encode_reply(call_id: CallId, key: str, raw_json: bytes) -> bytes:
    """One line around a value that is JSON already."""
    return check_length(b'{"id":%b,"%b":%b}\n' % (json.dumps(call_id).encode(), key.encode(), raw_json))


def check_length(line: bytes) -> bytes:
    if len(line) - 1 > MAX_LINE_BYTES:
        raise LimitExceeded(
            f"a line of {len(line) - 1} bytes is longer than the control socket carries ({MAX_LINE_BYTES})"
        )
    return line
