"""Settings with units as people write them: `2 MB/s`, `64 KiB`, `none`.  Pure."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

_AMOUNT = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)\s*(?P<unit>[kKMGT]i?)?B?(/s)?")
_FACTOR = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_NONE = ("none", "unlimited", "")


def parse_bytes(value: object) -> object:
    """`"2 MB/s"` → 2,000,000, `"64 KiB"` → 65,536; numbers pass.  Raises `ValueError` for other text."""
    if not isinstance(value, str):
        return value
    match = _AMOUNT.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not an amount of bytes; write 2000000, 2 MB or 64 KiB")
    unit = (match["unit"] or "").replace("K", "k")
    return round(float(match["number"]) * _FACTOR[unit])


def parse_rate(value: object) -> object:
    """As `parse_bytes`, for bytes a second; `"none"` → `None`.  Raises `ValueError` for other text."""
    if isinstance(value, str) and value.strip().lower() in _NONE:
        return None
    try:
        return parse_bytes(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a rate; write 2000000, 2 MB/s, 512 KiB/s or none") from None


Bytes = Annotated[int, BeforeValidator(parse_bytes), WithJsonSchema({"type": ["integer", "string"]})]
Rate = Annotated[
    Annotated[int, Field(ge=1)] | None,
    BeforeValidator(parse_rate),
    WithJsonSchema({"type": ["integer", "string", "null"]}),
]
"""Bytes a second, ≥ 1; `None` means unlimited."""
