"""Answers as a person reads them: aligned tables, fields, lines; sizes as MiB, times as `3 min 5 s`; pure.

In: JSON values and the operation's view.  Out: lines of text.  Texts come from strangers (a file's name, a reason), so
whatever could move the cursor, colour the screen or reverse the reading direction is shown as an escape.
"""

import re
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .._control.wire import Json

# C0 and C1 controls, line and paragraph separators, and the marks that reorder text (Trojan Source, CVE-2021-42574).
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_ID = re.compile(r"\b[pc][a-z2-7]{55}\b")  # of a peer or content; `text_form`
_GAP = "  "
_MIN_COLUMN = 10  # cells; a column is not cut below this
_LONG_WORD = 40  # characters; ids have 56
_NUMBERS = ("bytes", "rate", "seconds")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
SHORT_ID_CHARS = 10


@dataclass(frozen=True, slots=True)
class ColumnView:
    key: str
    title: str
    format: str = "text"


def safe(text: str) -> str:
    """`text` with whatever a terminal would obey made visible."""
    return _UNSAFE.sub(
        lambda match: f"\\x{ord(match[0]):02x}" if ord(match[0]) < 256 else f"\\u{ord(match[0]):04x}", text
    )


def width(text: str) -> int:
    """Cells that `text` takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(c) or unicodedata.category(c) == "Cf"
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    )


def cut(text: str, cells: int) -> str:
    """`text` in at most `cells`, with an ellipsis when something is missing."""
    if width(text) <= cells:
        return text
    while text and width(text) > cells - 1:
        text = text[:-1]
    return text + "…"


def size(number: float) -> str:
    """1536 → `1.5 KiB`."""
    for unit in _UNITS[:-1]:
        if abs(number) < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} {_UNITS[-1]}"


def counted(number: int, noun: str) -> str:
    """`1 hit`, `2 hits`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def rate(per_s: float) -> str:
    """Bytes a second, decimal as networks count: `12.3 MB/s`."""
    for unit in ("B/s", "kB/s", "MB/s"):
        if abs(per_s) < 1000:
            return f"{per_s:.0f} {unit}" if unit == "B/s" else f"{per_s:.1f} {unit}"
        per_s /= 1000
    return f"{per_s:.1f} GB/s"


def seconds(value: float) -> str:
    """0.0123 → `12 ms`, 3725 → `1 h 2 min`."""
    if value < 0:
        return "-" + seconds(-value)
    if value == 0:
        return "0 s"
    if value < 0.000_999_5:
        return f"{value * 1e6:.0f} µs"
    if value < 0.999_5:
        return f"{value * 1e3:.3g} ms"
    if value < 59.95:
        return f"{value:.1f} s" if value < 10 and value != int(value) else f"{value:.0f} s"
    whole = round(value)
    for unit, size_s, smaller, smaller_s in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size_s:
            rest = whole % size_s // smaller_s
            return f"{whole // size_s} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def plain(value: Json, kind: str = "text") -> str:
    """One value on one line."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if kind == "time":
            return time.strftime("%H:%M:%S", time.localtime(value))
        writers: Mapping[str, Callable[[float], str]] = {"bytes": size, "rate": rate, "seconds": seconds}
        return writers[kind](value) if kind in writers else f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value)
    pairs = _GAP.join(f"{safe(key)}={plain(item)}" for key, item in value.items())
    return _ID.sub(lambda match: match[0][:SHORT_ID_CHARS], pairs)


def columns_of(rows: Sequence[Json]) -> list[ColumnView]:
    """For an operation that declares no columns: every key, in order."""
    keys = dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row)
    return [ColumnView(key, key.replace("_", " ").capitalize()) for key in keys]


def _cell(row: Json, column: ColumnView) -> str:
    return plain(row.get(column.key) if isinstance(row, dict) else row, column.format)


def table(rows: Sequence[Json], columns: Sequence[ColumnView], cells: int | None = None) -> list[str]:
    """Aligned lines, the heading first; numbers to the right; columns that hold nothing are left out.

    Args:
        cells: the terminal's width.  What does not fit is made to: `id` columns are shortened, whole ids and links
            move to lines of their own below their row (they are there to be copied), wide columns are cut.  `None`:
            one line a row, nothing is cut.
    """
    columns = [c for c in columns if any(_cell(row, c) not in ("", "–") for row in rows)] or list(columns)
    texts = [[_cell(row, column) for column in columns] for row in rows]
    below: list[int] = []
    if cells is not None and _total(columns, texts) > cells:
        for i, column in enumerate(columns):
            if column.format == "id":
                texts = [[*line[:i], line[i][:SHORT_ID_CHARS], *line[i + 1 :]] for line in texts]
        if _total(columns, texts) > cells:
            below = [i for i, c in enumerate(columns) if _is_unbreakable([line[i] for line in texts], c)]
    if len(below) == len(columns):
        below = below[1:]
    beside = [i for i in range(len(columns)) if i not in below]
    heading = [columns[i].title.upper() for i in beside]
    widths = [
        max([width(title), *(width(line[i]) for line in texts)]) for title, i in zip(heading, beside, strict=True)
    ]
    if cells is not None:
        _shrink(widths, cells)
    right = [columns[i].format in _NUMBERS or _is_numeric(rows, columns[i]) for i in beside]
    lines = [_line(heading, widths, right)]
    for text in texts:
        lines.append(_line([text[i] for i in beside], widths, right))
        lines += [_GAP + text[i] for i in below if text[i]]
    return lines


def _total(columns: Sequence[ColumnView], texts: Sequence[Sequence[str]]) -> int:
    widths = [max([width(c.title), *(width(line[i]) for line in texts)]) for i, c in enumerate(columns)]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _is_unbreakable(texts: Sequence[str], column: ColumnView) -> bool:
    """Ids and links: long, of one word, useless when cut."""
    return (
        column.format == "text" and max(map(len, texts), default=0) >= _LONG_WORD and not any(" " in t for t in texts)
    )


def _is_numeric(rows: Sequence[Json], column: ColumnView) -> bool:
    values = [row.get(column.key) for row in rows if isinstance(row, dict)]
    return column.format == "text" and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _shrink(widths: list[int], cells: int) -> None:
    while (excess := sum(widths) + len(_GAP) * (len(widths) - 1) - cells) > 0:
        widest = max(range(len(widths)), key=widths.__getitem__)
        second = max([w for i, w in enumerate(widths) if i != widest], default=0)
        smaller = max(_MIN_COLUMN, min(widths[widest] - 1, max(second, widths[widest] - excess)))
        if smaller >= widths[widest]:
            return
        widths[widest] = smaller


def _line(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for text, cells, to_right in zip(texts, widths, right, strict=True):
        text = cut(text, cells)
        padding = " " * (cells - width(text))
        parts.append(padding + text if to_right else text + padding)
    return _GAP.join(parts).rstrip()


def fields(answer: Json, columns: Sequence[ColumnView]) -> list[str]:
    """`Title  value`, one a line; a list takes a line for each item; what is empty is left out."""
    lines: list[str] = []
    label = max((width(column.title) for column in columns), default=0)
    for column in columns:
        value = answer.get(column.key) if isinstance(answer, dict) else answer
        if value in (None, "", []):
            continue
        texts = [plain(v) for v in value] if isinstance(value, list) else [plain(value, column.format)]
        title = column.title[:1].upper() + column.title[1:]
        lines.append(title + " " * (label - width(title)) + _GAP + texts[0])
        lines += [" " * label + _GAP + text for text in texts[1:]]
    return lines


def one_line(row: Json, columns: Sequence[ColumnView]) -> str:
    """The columns of one item, without headings."""
    return _GAP.join(_cell(row, column) for column in columns).rstrip()


def sentence(template: str, answer: Json) -> str:
    """`{name}` places filled from the answer; sizes and times are written by their key's unit."""
    values: dict[str, str] = {"count": str(len(answer))} if isinstance(answer, list) else {}
    row = answer[0] if isinstance(answer, list) and answer else answer
    for key, value in row.items() if isinstance(row, dict) else ():
        unit = key.rpartition("_")[2]
        kind = (
            "rate"
            if key == "bytes_per_s"
            else {"bytes": "bytes", "s": "seconds", "seconds": "seconds"}.get(unit, "text")
        )
        values[key] = plain(value, kind)
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)
