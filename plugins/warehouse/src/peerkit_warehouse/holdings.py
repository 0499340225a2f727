"""Content that is open for reading now: at most 64 files, the least used closed first, and downloads under way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from peerkit.errors import NotFound, VerificationFailed

from .content_id import ContentId
from .disk_file import DiskFile
from .hashing import RunBlocking
from .holding import Holding
from .index import Index, Item, State
from .layout import Layout
from .merkle_tree import leaf_count
from .outboard import Outboard
from .partial_file import PartialFile

MAX_OPEN = 64  # two file descriptors each; a stranger who asks for everything must not use them up


class Holdings:
    """Opens content when somebody reads it."""

    def __init__(self, index: Index, layout: Layout, run_blocking: RunBlocking) -> None:
        self._index = index
        self._layout = layout
        self._run_blocking = run_blocking
        self._open: OrderedDict[ContentId, Holding] = OrderedDict()
        self._partial: dict[ContentId, Holding] = {}

    @asynccontextmanager
    async def use(self, content: ContentId) -> AsyncIterator[Holding]:
        """Borrow content.

        Raises:
            NotFound: it is not here, or not served.
            VerificationFailed: its file cannot be opened any more.
        """
        holding = self._partial.get(content) or self._open.get(content)
        if holding is None:
            item = await self._index.get(content)
            if item is None or item.state is not State.COMPLETE:
                raise NotFound(f"content {content} is not here")
            holding = self._open.get(content) or await self._open_item(item)
        if content in self._open:
            self._open.move_to_end(content)
        holding.users += 1
        try:
            yield holding
        finally:
            holding.users -= 1
            if (
                not holding.users
                and self._open.get(content) is not holding
                and self._partial.get(content) is not holding
            ):
                holding.close()

    async def _open_item(self, item: Item) -> Holding:
        holding = await self._run_blocking(lambda: open_item(item, self._layout))
        known = self._open.setdefault(item.content, holding)
        if known is not holding:
            holding.close()
        while len(self._open) > MAX_OPEN:
            _, oldest = self._open.popitem(last=False)
            if not oldest.users:
                oldest.close()
        return known

    def register(self, partial: PartialFile) -> None:
        """Serve what a download has so far."""
        self._partial[partial.content] = Holding(
            partial.content, partial.kind, partial.size, partial.data, partial.outboard, held=partial.held
        )

    def unregister(self, content: ContentId) -> None:
        """The download is over: close its data and hashes as soon as nobody reads them.  Idempotent."""
        holding = self._partial.pop(content, None)
        if holding is not None and not holding.users:
            holding.close()

    def in_use(self, content: ContentId) -> bool:
        """Whether somebody reads it now, or it is being fetched."""
        holding = self._open.get(content)
        return content in self._partial or (holding is not None and holding.users > 0)

    def forget(self, content: ContentId) -> None:
        """Its file moved, changed or is gone.  Idempotent."""
        holding = self._open.pop(content, None)
        if holding is not None and not holding.users:
            holding.close()

    def close(self) -> None:
        """Close everything.  Idempotent."""
        for content in [*self._open]:
            self.forget(content)
        for content in [*self._partial]:
            self.unregister(content)


def open_item(item: Item, layout: Layout) -> Holding:
    """Blocking.  Raises `VerificationFailed` when its files are not there or changed."""
    path = item.path or layout.object(item.content)
    try:
        data = DiskFile(path)
    except OSError as exc:
        raise VerificationFailed(f"{path} cannot be read: {exc.strerror or exc}") from exc
    try:
        outboard = Outboard(layout.outboard(item.content), leaf_count(item.size), item.top)
    except OSError as exc:
        data.close()
        raise VerificationFailed(f"the hashes of {path} cannot be read: {exc.strerror or exc}") from exc
    holding = Holding(item.content, item.kind, item.size, data, outboard, mark=item.mark)
    try:
        holding.check_mark()
    except VerificationFailed:
        holding.close()
        raise
    return holding
