"""Whether a router restarted and forgot its mappings, told from the seconds since it began to keep them.  Pure."""

from enum import Enum


class Rule(Enum):
    """How far clocks may drift."""

    NAT_PMP = "RFC 6886 §3.6"
    PCP = "RFC 6887 §8.5"


class Epoch:
    """Args:
    rule: of the protocol that tells the seconds.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._last: tuple[float, int] | None = None  # our time, the router's

    def seen(self, epoch_s: int, now: float) -> bool:
        """Take the next value; returns whether the router kept its state since the one before."""
        last, self._last = self._last, (now, epoch_s)
        if last is None:
            return True
        ours, theirs = now - last[0], epoch_s - last[1]
        if self._rule is Rule.NAT_PMP:
            return theirs >= ours * 7 / 8 - 2
        if theirs < -1:
            return False
        return ours + 2 >= theirs - theirs / 16 and theirs + 2 >= ours - ours / 16
