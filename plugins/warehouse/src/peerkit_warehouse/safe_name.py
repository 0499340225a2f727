"""Which names from outside may become names on this disk.

A name is refused, never repaired: two repaired names could meet, and a person should see what he was offered.  The
rules are those of the strictest of the systems that Peerkit runs on, so that what one node shares every node can keep.

Stops: path traversal (`..`, separators, absolute, drive letters), NTFS streams (`:`), Windows device names, names that
a file system changes silently (trailing dot or space), terminal and bidirectional control characters that make a name
look like another, and two names that are one after normalization and case folding.
"""

import unicodedata
from collections.abc import Iterable

from peerkit.errors import UsageError

MAX_NAME_BYTES = 255  # of a component in UTF-8; ext4, NTFS (in UTF-16 units) and APFS
MAX_PATH_BYTES = 1024
MAX_DEPTH = 32

_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
_FORBIDDEN = frozenset('<>:"/\\|?*')
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def problem_with(name: str) -> str:
    """What is wrong with `name` as one component of a path; empty when nothing is."""
    if not name:
        return "it is empty"
    if name in (".", ".."):
        return "it means another folder"
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if length > MAX_NAME_BYTES:
        return f"it has {length} bytes, more than {MAX_NAME_BYTES}"
    for char in name:
        if char in _FORBIDDEN:
            return f"it holds {char!r}"
        if char in _BIDI:
            return f"it holds the direction control U+{ord(char):04X}"
        if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
            return f"it holds the control character U+{ord(char):04X}"
    if name[-1] in ". " or name[0] == " ":
        return "it begins or ends with a space, or ends with a dot"
    if name.split(".")[0].rstrip(" ").casefold() in _RESERVED:
        return "it is the name of a device on Windows"
    return ""


def safe_name(name: str) -> str:
    """`name` in NFC if it may be the name of a file.

    Raises:
        UsageError: it may not; the sentence says why and shows it escaped.
    """
    problem = problem_with(name) or problem_with(unicodedata.normalize("NFC", name))
    if problem:
        raise UsageError(f"the name {shown(name)} is not allowed: {problem}")
    return unicodedata.normalize("NFC", name)


def safe_path(path: str) -> str:
    """A relative path with `/`, each component a safe name, at most 32 deep and 1,024 bytes; in NFC.

    Raises:
        UsageError: it is not one.
    """
    if len(path) > MAX_PATH_BYTES or len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        raise UsageError(f"the path {shown(path)} is not allowed: it has more than {MAX_PATH_BYTES} bytes")
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        raise UsageError(f"the path {shown(path)} is not allowed: it is more than {MAX_DEPTH} folders deep")
    return "/".join(safe_name(part) for part in parts)


def folded(path: str) -> str:
    """Equal for two paths that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def check_unique(files: Iterable[str], folders: Iterable[str] = ()) -> None:
    """Refuse paths that collide: twice the same after folding, or a file where another path needs a folder.

    Args:
        files: safe relative paths of files.
        folders: those of (empty) folders.

    Raises:
        UsageError: with the first two that collide.
    """
    seen: dict[str, str | None] = {}  # folded → as written if a folder, None if a file
    for path in files:
        _claim_folders(seen, path)
        if folded(path) in seen:
            raise _collision(path)
        seen[folded(path)] = None
    for path in folders:
        _claim_folders(seen, path + "/")


def _claim_folders(seen: dict[str, str | None], path: str) -> None:
    """Note every folder that `path` lies in."""
    parts = path.split("/")[:-1]
    for i in range(1, len(parts) + 1):
        folder = "/".join(parts[:i])
        if seen.setdefault(folded(folder), folder) != folder:
            raise _collision(path)


def _collision(path: str) -> UsageError:
    return UsageError(f"the path {shown(path)} and another one would be the same on some disks")


def shown(name: str) -> str:
    """A name for a message: escaped and short."""
    return ascii(name if len(name) <= 60 else name[:57] + "…")
