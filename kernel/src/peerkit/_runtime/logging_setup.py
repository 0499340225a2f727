"""Where a node's log records go, and how they look.

Every record goes to the standard library's logger `peerkit`.  An application that embeds a node configures that logger
as any other; only the `peerkit` command calls `configure`.  Peer and content ids are shortened, secrets never written,
and text from strangers cannot break a line.
"""

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, TextIO, cast

import structlog

from ..address import Address
from ..identity import PeerId

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LOGGER = "peerkit"
MAX_ALIKE = 20
ALIKE_S = 60.0
MAX_KINDS = 1_000
MAX_VALUE_CHARS = 500  # of one value: a stranger's text must not fill the disk

_ID = re.compile(r"\b[pc][a-z2-7]{55}\b")  # `text_form`: 56 characters of base32 that begin with p or c
_SECRET = re.compile(r"psk|passphrase|password|secret|seed|token|private_key", re.IGNORECASE)
_PLAIN = re.compile(r"[^\s\"'=\x00-\x1f\x7f]+")


def shorten(value: object) -> object:
    """A value as the log shows it: ids cut to ten characters, bytes to eight, long text to 500."""
    match value:
        case bool() | int() | float() | None:
            return value
        case bytes() | bytearray() | memoryview():
            head = bytes(value[:8]).hex()
            return head if len(value) <= 8 else f"{head}… ({len(value)} bytes)"
        case PeerId():
            return value.short
        case Address():
            text = str(value)
        case _:
            text = str(value)
    if len(text) > MAX_VALUE_CHARS:
        text = text[:MAX_VALUE_CHARS] + "…"
    return _ID.sub(lambda match: match[0][:10], text) if len(text) >= 56 else text


def _to_standard(
    logger: object,  # noqa: ARG001
    method: str,  # noqa: ARG001
    fields: MutableMapping[str, object],
) -> tuple[tuple[str], dict[str, object]]:
    """structlog's last processor: one line of text for the standard logger, and the fields beside it."""
    exc_info = fields.pop("exc_info", None)
    event = str(fields.pop("event", ""))
    shown = {key: "hidden" if _SECRET.search(key) else shorten(value) for key, value in fields.items()}
    line = event + "".join(f" {key}={_word(value)}" for key, value in shown.items())
    return (line,), {"exc_info": exc_info, "extra": {"peerkit_event": event, "peerkit_fields": shown}}


def _word(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def node_logger(peer_id: PeerId, level: str = "info") -> "FilteringBoundLogger":
    """The log of one node.  Nothing global is configured; below `level` a call costs next to nothing."""
    logger = structlog.wrap_logger(
        logging.getLogger(LOGGER),
        processors=[_to_standard],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return cast("FilteringBoundLogger", logger.bind(node=peer_id))


class _Lines(logging.Formatter):
    """`12:54:34 warning  text key=value`; a traceback follows indented."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():<8} {record.getMessage()}"
        if record.exc_info:
            text += "\n" + "\n".join(f"    {line}" for line in self.formatException(record.exc_info).splitlines())
        return text


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "peerkit_event", record.getMessage())
        fields: dict[str, object] = getattr(record, "peerkit_fields", {})
        line: dict[str, object] = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": event,
            **fields,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class _Repeats(logging.Filter):
    """Lets `MAX_ALIKE` warnings or errors of one kind through in a minute, and says how many were left out: what a
    stranger can provoke must not fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[int, object], tuple[float, int]] = {}  # since when, how many

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        kind: tuple[int, object] = (record.levelno, getattr(record, "peerkit_event", (record.msg, record.args)))
        began_at, count = self._seen.get(kind, (record.created, 0))
        if not 0 <= record.created - began_at < ALIKE_S:
            if count > MAX_ALIKE:
                note = f" (and {count - MAX_ALIKE} more like it before)"
                record.msg, record.args = record.getMessage() + note, ()
                if isinstance(kind[1], str):
                    record.peerkit_event = kind[1] + note
            began_at, count = record.created, 0
        if len(self._seen) > MAX_KINDS:
            self._seen.clear()
        self._seen[kind] = began_at, count + 1
        return count < MAX_ALIKE


def configure(level: str = "info", as_json: bool = False, stream: TextIO | None = None) -> None:
    """Send the records of `peerkit` to `stream` (standard error unless told).  For the command only."""
    logger = logging.getLogger(LOGGER)
    for handler in tuple(logger.handlers):
        logger.removeHandler(handler)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if as_json else _Lines())
    handler.addFilter(_Repeats())
    logger.addHandler(handler)
    logger.setLevel(LEVELS[level])
    logger.propagate = False
