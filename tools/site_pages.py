"""Which pages the site has: an mkdocs hook.

The documents lie all over the repository and link each other as it shows them: README, docs, the READMEs of plugins and
examples.  Each becomes a page under its own path, so most links lead on as they are.  A link to a folder leads to its
README or list, one to a public module of the kernel to its reference, one to any other file to a page that shows it.
What leads nowhere is left as it is, and fails the build (`strict`).
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
KERNEL = "kernel/src/peerkit"
PAGES = ("*.md", "docs/**/*.md", "kernel/README.md", "plugins/*/README.md", "examples/**/*.md")
PICTURES = ("docs/*.svg",)
REFERENCE = "docs/reference"
DECISIONS = "docs/decisions"
# What whoever writes an application or a plugin meets first.
FIRST = [
    "node",
    "protocol",
    "session",
    "plugin",
    "hookspecs",
    "capabilities",
    "discovery",
    "trust",
    "routine",
    "operation",
    "event",
    "errors",
    "transport",
    "datagram",
    "security",
    "network",
    "record",
    "address",
    "identity",
    "client",
    "testing",
]
TESTING = [
    "machines",
    "sim_network",
    "swarm",
    "virtual_time",
    "plugin_context",
    "fakes",
    "nat_kinds",
]
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")


def _paths(*patterns: str) -> list[str]:
    return sorted({path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)})


def _modules() -> list[str]:
    """Public modules of the kernel, those that are met first before the others."""
    names = {path.stem for path in (ROOT / KERNEL).glob("[!_]*.py")} | {"client", "testing"}
    testing = [*sorted(path.stem for path in (ROOT / KERNEL / "testing").glob("*_checks.py")), *TESTING]
    return [*FIRST, *sorted(names - set(FIRST)), *(f"testing.{name}" for name in testing)]


def _title(path: str) -> str:
    first = (ROOT / path).read_text("utf-8").splitlines()[0]
    return first.lstrip("# ")


def _linked(page: str, target: str) -> str:
    """The path in the site of what `page` links to; `target` itself when it is one already or leads nowhere."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
    module = re.fullmatch(rf"{KERNEL}/([a-z]\w*)(?:\.py)?", path)
    if path == KERNEL:
        path = f"{REFERENCE}/index.md"
    elif path == DECISIONS:
        path = f"{DECISIONS}/index.md"
    elif module and module[1] in _modules():
        path = f"{REFERENCE}/{module[1]}.md"
    elif (ROOT / path / "README.md").is_file():
        path = f"{path}/README.md"
    elif (ROOT / path).is_file() and not path.endswith((".md", ".svg")):
        path = f"{path}.md"
    else:
        return target
    return posixpath.relpath(path, posixpath.dirname(page) or ".")


def _shown(path: str) -> str:
    """A page that shows a file of the repository."""
    kind = path.rpartition(".")[2] if "." in path else ""
    return f"# {path}\n\n```{kind if kind in ('py', 'toml', 'sh') else 'text'}\n{(ROOT / path).read_text('utf-8')}```\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill in the parts of the navigation that are lists of files."""
    lists = {
        "plugins/": _paths("plugins/*/README.md"),
        f"{DECISIONS}/": [{_title(path): path} for path in _paths(f"{DECISIONS}/*.md")],
        f"{REFERENCE}/": [
            f"{REFERENCE}/index.md",
            *({name: f"{REFERENCE}/{name}.md"} for name in _modules()),
        ],
    }

    def filled(entries: Any) -> Any:
        if isinstance(entries, str):
            return lists.get(entries, entries)
        if isinstance(entries, dict):
            return {name: filled(entry) for name, entry in entries.items()}
        return [filled(entry) for entry in entries]

    config.nav = filled(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The repository's documents in place of those in `docs/` alone."""
    pages = _paths(*PAGES)
    chosen = [file for file in files if not file.src_uri.endswith((".md", ".svg"))]  # the theme's own
    chosen += [File(path, str(ROOT), config.site_dir, True) for path in (*pages, *_paths(*PICTURES))]
    texts = {}
    for name in _modules():
        texts[f"{REFERENCE}/{name}.md"] = f"# peerkit.{name}\n\n::: peerkit.{name}\n"
    rows = [f"- [peerkit.{name}]({name}.md)" for name in _modules()]
    texts[f"{REFERENCE}/index.md"] = "# Reference\n\nFrom the docstrings of the public modules.\n\n" + "\n".join(rows)
    rows = [f"- [{_title(path)}]({posixpath.basename(path)})" for path in _paths(f"{DECISIONS}/*.md")]
    texts[f"{DECISIONS}/index.md"] = "# Decisions\n\n" + "\n".join(rows)
    for page in pages:
        for target in LINK.findall((ROOT / page).read_text("utf-8")):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), _linked(page, target)))
            if path.endswith(".md") and not (ROOT / path).is_file() and (ROOT / path.removesuffix(".md")).is_file():
                texts[path] = _shown(path.removesuffix(".md"))
    chosen += [File.generated(config, path, content=text) for path, text in texts.items()]
    return Files(chosen)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - as mkdocs calls it
    return LINK.sub(lambda found: _linked(page.file.src_uri, found[1]), markdown)
