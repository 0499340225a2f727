"""`peerkit new-plugin`: a package outside of the repository that installs, is listed, and passes its own tests.

What it writes are the files of `plugin_template/common` and of the kind's folder, with names filled in.
"""

import keyword
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

from .. import __version__
from ..errors import StorageError, UsageError

TEMPLATE = Path(__file__).with_name("plugin_template")
KINDS = {
    "protocol": "greets the peers that ask for it",
    "discovery": "proposes the peers that a file names",
    "transport": "carries sessions over a scheme of its own",
    "trust_policy": "lets in the peers that the profile names",
    "routine": "counts the peers again and again",
    "wrapper": "hides how long packets are",
    "capability": "tells when the disk is nearly full",
}
_LIBRARIES = {"pydantic": "pydantic>=2.7,<3", "google": "protobuf>=5.29,<8"}  # as the kernel needs them, by import
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
MAX_NAME_CHARS = 40
# `Greeting` and `Answer` of the template, as protoc encodes them.
_MESSAGES = (
    b'"\x18\n\x08Greeting\x12\x0c\n\x04name\x18\x01 \x01(\t'
    b'"%\n\x06Answer\x12\x0c\n\x04text\x18\x01 \x01(\t\x12\r\n\x05count\x18\x02 \x01(\x04'
)
_SCHEME_CHARS = 16


def write_plugin(name: str, kind: str, parent: Path) -> Path:
    """Make the package's folder, `parent`/`name`.

    Args:
        name: of the distribution; the plugin's own is the same without the prefix `peerkit-`.
        kind: of `KINDS`.

    Raises:
        UsageError: the name is none for a package, or the folder is there already.
        StorageError: it cannot be written.
    """
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_CHARS:
        raise UsageError(
            f"{name[:80]!r} is no name for a plugin; it has small letters, digits and hyphens, as in peer-chat"
        )
    words = _words(name, kind)
    folder = parent / name
    if folder.exists():
        raise UsageError(f"{folder} exists already")
    try:
        for source, target in _files(kind, words):
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Template(source.read_text("utf-8")).substitute(words), "utf-8")
    except OSError as exc:
        raise StorageError(f"{folder} cannot be written: {exc.strerror}") from exc
    return folder


def _words(name: str, kind: str) -> Mapping[str, str]:
    package = name.replace("-", "_")
    own = package.removeprefix("peerkit_")
    if keyword.iskeyword(own) or own == "peerkit":
        raise UsageError(f"{name} is no name for a plugin: Python or Peerkit uses the word")
    code = [path.read_text("utf-8") for path in (TEMPLATE / kind / "src").rglob("*.py.tmpl")]
    used = [library for module, library in _LIBRARIES.items() if any(f"from {module}" in text for text in code)]
    major, minor = (int(part) for part in __version__.split(".")[:2])
    return {
        "distribution": package.replace("_", "-"),
        "package": package,
        "name": own,
        "Class": "".join(part.capitalize() for part in own.split("_")),
        "scheme": own.replace("_", "")[:_SCHEME_CHARS],
        "summary": KINDS[kind],
        "Summary": KINDS[kind].capitalize(),
        "dependencies": ", ".join(
            f'"{each}"' for each in [f"peerkit-kernel>={major}.{minor},<{major}.{minor + 1}", *used]
        ),
        "descriptor": repr(_descriptor(package, own)),
    }


def _files(kind: str, words: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Each template, and where the file goes."""
    for folder in (TEMPLATE / "common", TEMPLATE / kind):
        for source in sorted(folder.rglob("*.tmpl")):
            target = source.relative_to(folder).as_posix().removesuffix(".tmpl")
            yield source, target.replace("PACKAGE", words["package"]).replace("NAME", words["name"])


def _descriptor(package: str, name: str) -> bytes:
    """What protoc puts into the generated code: a `FileDescriptorProto`, whose names only now are known."""
    texts = ((1, f"{package}/wire/v1/{name}.proto"), (2, f"{package}.wire.v1"))  # each shorter than 128 bytes
    head = b"".join(bytes((number << 3 | 2, len(text))) + text.encode() for number, text in texts)
    return head + _MESSAGES + b"b\x06proto3"
