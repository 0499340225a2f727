"""What the store does by itself or when asked: look for changed files, verify everything, collect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from peerkit.errors import NotFound, PeerkitError, VerificationFailed

from .content_id import ContentId, ContentKind
from .hashing import hash_large
from .holding import FileMark, mark_of
from .index import Item, Origin, State
from .store import Store

LOOK_AT = 200  # files looked at in one thread hop


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying one piece of content found; `problem` is empty when it is whole."""

    item: Item
    problem: str


class Upkeep:
    """Args:
    token: gives a name for a temporary file that nobody else uses now.
    """

    def __init__(self, store: Store, token: Callable[[], str]) -> None:
        self._store = store
        self._token = token

    async def watch(self) -> None:
        """Look at every file served from where it lies: one that is another now is served no longer, one that is as it
        was is served again."""
        store = self._store
        await store.flush_used()
        items = await store.index.select("path IS NOT NULL AND state IN (1, 2)")
        for start in range(0, len(items), LOOK_AT):
            some = items[start : start + LOOK_AT]
            marks = await store.run_blocking(lambda s=some: [_mark(item.path) for item in s])  # type: ignore[misc]
            for item, mark in zip(some, marks, strict=True):
                if item.state is State.COMPLETE and mark != item.mark:
                    await store.note_changed(item.content, "it is gone" if mark is None else "its size or time changed")
                elif item.state is State.CHANGED and mark is not None and mark == item.mark:
                    await store.note_whole(item)

    async def verify(self, content: ContentId | None, on_bytes: Callable[[int, int], None]) -> Sequence[Verdict]:
        """Read and hash everything (or one piece, of a folder its files too), and note what changed or is whole again.

        Raises:
            NotFound: `content` is not here.
        """
        store = self._store
        if content is None:
            items = await store.index.select("state IN (1, 2)")
        else:
            item = await store.index.get(content)
            if item is None:
                raise NotFound(f"{content} is not shared or kept here")
            items = [item, *(await store.index.members(content) if item.kind is ContentKind.FOLDER else ())]
        total, done = sum(item.size for item in items), 0
        verdicts = []
        for item in items:
            verdicts.append(Verdict(item, await self._verify_one(item)))
            done += item.size
            on_bytes(done, total)
        return verdicts

    async def _verify_one(self, item: Item) -> str:
        store = self._store
        if item.state is State.PARTIAL:
            return "it is not complete"
        if item.kind is ContentKind.FOLDER:
            try:
                await store.manifest(item.content)
            except (NotFound, VerificationFailed) as exc:
                return str(exc)
            return ""
        path = item.path or store.layout.object(item.content)
        try:
            one = await hash_large(path, store.layout, store.run_blocking, lambda _: None, self._token())
        except PeerkitError as exc:
            await store.note_changed(item.content, str(exc))
            return str(exc)
        if one.content != item.content:
            await store.note_changed(item.content, "other bytes")
            return f"{path} holds other bytes now"
        if item.state is State.CHANGED or (item.mark is not None and item.mark != one.mark):
            await store.note_whole(item)
        return ""

    async def collect(self) -> tuple[int, int]:
        """Delete what can be got again: fetched content in the store that is not pinned, rows of fetched files that are
        gone, stopped downloads that are old.  Returns how many pieces and bytes."""
        store = self._store
        before = await store.index.totals()
        freed = await store.collect(1 << 62)
        for item in await store.index.select("origin = ? AND state = ?", int(Origin.FETCHED), int(State.CHANGED)):
            await store.remove(item.content)
        after = await store.index.totals()
        return before[2] - after[2], freed


def _mark(path: Path | None) -> FileMark | None:
    try:
        return None if path is None else mark_of(path)
    except OSError:
        return None
