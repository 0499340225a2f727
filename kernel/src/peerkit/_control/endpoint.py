"""The node's end of the control socket: binds it, writes `control.json` (see `place`), takes both away again.

The caller holds the data directory's lock: binding would silently replace the socket of a live node otherwise.
"""

import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..errors import StorageError
from .place import CONTROL_FILE, HAVE_UNIX_SOCKETS, Place

SOCKET_NAME = "control.sock"
MAX_UNIX_PATH_BYTES = 100  # `sun_path` has 104 bytes on macOS and 108 on Linux
_FOLDER_PREFIX = "peerkit-"


class Endpoint:
    """A bound listening socket of the node and its `control.json`.

    Args:
        data_dir: owned and locked by this node.
        use_tcp: loopback TCP although there are Unix sockets.
    """

    def __init__(self, data_dir: Path, use_tcp: bool = not HAVE_UNIX_SOCKETS) -> None:
        self._data_dir = data_dir
        self._use_tcp = use_tcp
        self._folder: Path | None = None
        self.place = Place()

    def bind(self) -> socket.socket:
        """Bind, listen, and write `control.json`.  What a killed node left behind is removed first.

        Raises:
            StorageError: the directory cannot be written, or no socket be bound.
        """
        self._remove_leftovers()
        try:
            sock = self._bind_tcp() if self._use_tcp else self._bind_unix()
            try:
                self._write_control_file()
            except OSError:
                sock.close()
                raise
        except OSError as exc:
            raise StorageError(f"cannot open the control socket of {self._data_dir}: {exc}") from exc
        return sock

    def remove(self) -> None:
        """Take away the files; idempotent."""
        (self._data_dir / CONTROL_FILE).unlink(missing_ok=True)
        if self.place.unix:
            Path(self.place.unix).unlink(missing_ok=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _bind_unix(self) -> socket.socket:
        path = self._data_dir.absolute() / SOCKET_NAME
        if len(os.fsencode(path)) > MAX_UNIX_PATH_BYTES:
            self._folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=os.environ.get("XDG_RUNTIME_DIR") or None))
            path = self._folder / SOCKET_NAME  # mkdtemp makes the folder 0700 under a name that nobody could prepare
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o077)
        try:
            sock.bind(str(path))
            sock.listen(64)
        except OSError:
            sock.close()
            raise
        finally:
            os.umask(umask)
        self.place = Place(unix=str(path))
        return sock

    def _bind_tcp(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.bind(("127.0.0.1", 0))
            sock.listen(64)
        except OSError:
            sock.close()
            raise
        self.place = Place(tcp=("127.0.0.1", sock.getsockname()[1]), token=secrets.token_urlsafe(32))
        return sock

    def _write_control_file(self) -> None:
        content: dict[str, object] = {"pid": os.getpid()}
        if self.place.tcp is None:
            content["unix"] = self.place.unix
        else:
            content |= {"tcp": self.place.tcp, "token": self.place.token}
        path = self._data_dir / CONTROL_FILE
        temporary = path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(content, file)
        temporary.replace(path)

    def _remove_leftovers(self) -> None:
        """A node that was killed left its `control.json`, and perhaps a folder of its own elsewhere."""
        try:
            value = json.loads((self._data_dir / CONTROL_FILE).read_bytes())
        except (OSError, ValueError):
            return
        unix = value.get("unix") if isinstance(value, Mapping) else None
        if isinstance(unix, str):
            folder = Path(unix).parent
            # Only a folder that can be ours: our name, our user, and holding at most the socket.
            is_ours = folder.name.startswith(_FOLDER_PREFIX) and folder.is_dir() and not folder.is_symlink()
            if is_ours and folder.stat().st_uid == os.geteuid() and os.listdir(folder) in ([], [SOCKET_NAME]):
                shutil.rmtree(folder, ignore_errors=True)
        (self._data_dir / CONTROL_FILE).unlink(missing_ok=True)
