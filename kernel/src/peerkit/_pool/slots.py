"""How many sessions of each class a node holds.  Every class is bounded: each bound stops a flood of that class.

Of the inbound classes one neighbourhood of the internet gets a quarter, so that whoever owns a /24 cannot take all.
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from ..session import Purpose


class SlotClass(Enum):
    MEMBER_IN = "member_in"
    MEMBER_OUT = "member_out"
    TRANSIENT_IN = "transient_in"
    TRANSIENT_OUT = "transient_out"
    HANDSHAKING = "handshaking"

    # Members are equal only to themselves; the enum's own hash is slow, and asked for each session.
    __hash__ = object.__hash__

    @classmethod
    def of(cls, purpose: Purpose, is_dialer: bool) -> "SlotClass":
        if purpose is Purpose.MEMBER:
            return cls.MEMBER_OUT if is_dialer else cls.MEMBER_IN
        return cls.TRANSIENT_OUT if is_dialer else cls.TRANSIENT_IN


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """The defaults are guesses between Karyon's 12 + 12 and libp2p's 128 connections for a small machine."""

    member_in: int = 64
    member_out: int = 16
    transient_in: int = 128
    transient_out: int = 128
    handshaking: int = 64


SHARE = 4  # one neighbourhood gets 1/SHARE of a class, at least one slot; a guess


class Slots:
    """Counts.  Not here: which session holds which slot.

    `crowd` is the neighbourhood that a session counts for, `""` for none (local, or chosen by us).
    """

    def __init__(self, limits: SlotLimits) -> None:
        self._limits = {c: int(getattr(limits, c.value)) for c in SlotClass}
        self._used = dict.fromkeys(SlotClass, 0)
        self._crowds: Counter[tuple[SlotClass, str]] = Counter()

    def used(self, slot: SlotClass) -> int:
        return self._used[slot]

    def free(self, slot: SlotClass) -> int:
        return self._limits[slot] - self._used[slot]

    def take(self, slot: SlotClass, crowd: str = "") -> bool:
        """`False`: the class, or the crowd's share of it, is full and nothing was taken."""
        if self.free(slot) <= 0:
            return False
        if crowd:
            if self._crowds[slot, crowd] >= max(1, self._limits[slot] // SHARE):
                return False
            self._crowds[slot, crowd] += 1
        self._used[slot] += 1
        return True

    def give(self, slot: SlotClass, crowd: str = "") -> None:
        """Give back what was taken with the same words."""
        self._used[slot] -= 1
        assert self._used[slot] >= 0
        if crowd:
            self._crowds[slot, crowd] -= 1
            if not self._crowds[slot, crowd]:
                del self._crowds[slot, crowd]
