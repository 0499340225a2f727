"""What we share and what must be said about it: compares what is shared now with what was published."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .local_index import OwnDocument


@dataclass(frozen=True, slots=True)
class SharedContent:
    """One content that is shared and listed now; `root` has 32 bytes."""

    root: bytes
    name: str
    size_bytes: int
    type: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Documents to publish (new, renamed or due again), to withdraw, and to forget for good."""

    publish: tuple[OwnDocument, ...]
    withdraw: tuple[OwnDocument, ...]
    forget: tuple[bytes, ...]


def compare(
    published: Mapping[bytes, OwnDocument], shared: Iterable[SharedContent], now_wall: float, renew_before: float
) -> Changes:
    """What is to be done.

    Args:
        published: by root, as last saved; the withdrawn ones too.
        shared: everything listed now; of two names for one root the first counts.
        renew_before: postings that expire before this time (unix seconds) are published anew.
    """
    wanted: dict[bytes, SharedContent] = {}
    for content in shared:
        wanted.setdefault(content.root, content)
    publish: list[OwnDocument] = []
    for content in wanted.values():
        old = published.get(content.root)
        fresh = OwnDocument(content.root, content.name, content.size_bytes, content.type)
        if old is None:
            publish.append(fresh)
        elif old.withdrawn or old.name != content.name or old.expires <= renew_before:
            publish.append(replace(fresh, sequence=old.sequence))
    gone = [old for root, old in published.items() if root not in wanted]
    return Changes(
        tuple(publish),
        tuple(old for old in gone if not old.withdrawn),
        tuple(old.root for old in gone if old.withdrawn and old.expires <= now_wall),
    )


def next_sequence(previous: int, now_wall: float) -> int:
    """Unix milliseconds, but always more than before, whatever the clock does."""
    return max(previous + 1, int(now_wall * 1000))
