"""Where the warehouse keeps its files, under the plugin's own folder.

objects/a/<root>            content in the store
outboards/a/<root>          hashes of content of more than one leaf, wherever the content lies
partial/<root>.data .groups  content on its way
incoming/                    half-made files; emptied at each start
"""

import shutil
from pathlib import Path

from .content_id import ContentId


class Layout:
    """Names only, but for `prepare`."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.partial = base / "partial"
        self.incoming = base / "incoming"
        self._objects = base / "objects"
        self._outboards = base / "outboards"

    def object(self, content: ContentId) -> Path:
        return self._spread(self._objects, content)

    def outboard(self, content: ContentId) -> Path:
        return self._spread(self._outboards, content)

    @staticmethod
    def _spread(folder: Path, content: ContentId) -> Path:
        name = content.root.hex()
        return folder / name[:1] / name  # 16 folders: some file systems slow down beyond 10,000 names

    def prepare(self) -> None:
        """Make the folders and forget what was half made.  Blocking.  Raises `OSError`."""
        shutil.rmtree(self.incoming, ignore_errors=True)
        for folder in (self.partial, self.incoming):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self._objects, self._outboards):
            for first in range(16):
                (folder / f"{first:x}").mkdir(parents=True, exist_ok=True)

    def strays(self, known: set[str]) -> list[Path]:
        """Files that belong to no content of `known` (hexadecimal roots).  Blocking."""
        paths = [*self._objects.glob("?/*"), *self._outboards.glob("?/*"), *self.partial.glob("*")]
        return [path for path in paths if path.name.partition(".")[0] not in known]
