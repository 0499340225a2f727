"""Two sessions between the same two peers: which one stays.

Both ends decide alike without a word.  Of two that the two ends began at once, the one that the smaller peer id began
stays, across transports.  Of two that the same end began, the newer stays: its dialer would not have dialled again if
the older one worked.
"""

from ..identity import PeerId


def newer_wins(ours: PeerId, theirs: PeerId, older_is_ours: bool, newer_is_ours: bool) -> bool:
    """`*_is_ours`: whether this end dialled that session."""
    if older_is_ours == newer_is_ours:
        return True
    return newer_is_ours == (ours < theirs)
