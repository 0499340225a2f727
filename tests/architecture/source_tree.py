"""The repository's Python files, parsed, and which distribution each belongs to.

The rules take `SourceFile`s, so that a self-test can hand one a text of its own.
"""

import ast
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml"))


@dataclass(frozen=True)
class SourceFile:
    """One Python file. `path` is relative to the repository and has forward slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def package(self) -> str:
        """The import package it is part of: `peerkit`, `peerkit_search`."""
        return self.path.split("/src/")[1].split("/")[0]

    @property
    def inner_path(self) -> str:
        """Its path below its import package: `_io/sqlite_file.py`."""
        return self.path.split("/src/")[1].split("/", 1)[1]

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def module(self) -> tuple[str, ...]:
        """Its module name in parts; `__init__` counts as a module of its package, as relative imports need it."""
        return tuple(self.path.split("/src/")[-1].removesuffix(".py").split("/"))


@dataclass(frozen=True)
class Import:
    """`module` is absolute; a `from` import has one `Import` per name, with the name appended after a dot."""

    module: str
    line: int
    types_only: bool

    def is_of(self, package: str) -> bool:
        return self.module == package or self.module.startswith(package + ".")


@cache
def imports_of(file: SourceFile) -> list[Import]:
    """Every import of the file, in functions too; `types_only` where it stands under `if TYPE_CHECKING:`."""
    return list(_imports(file, file.tree.body, types_only=False))


def _imports(file: SourceFile, nodes: Iterable[ast.AST], *, types_only: bool) -> Iterator[Import]:
    for node in nodes:
        match node:
            case ast.Import(names=names):
                for name in names:
                    yield Import(name.name, node.lineno, types_only)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = (
                    ".".join([*file.module[: len(file.module) - level], module or ""]).strip(".") if level else module
                )
                for name in names:
                    yield Import(f"{base}.{name.name}", node.lineno, types_only)
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), body=body, orelse=orelse):
                yield from _imports(file, body, types_only=True)
                yield from _imports(file, orelse, types_only=types_only)
            case _:
                yield from _imports(file, ast.iter_child_nodes(node), types_only=types_only)


def string_constants(file: SourceFile) -> list[ast.Constant]:
    """Every string the code works with: constants but docstrings (and other strings that stand alone)."""
    alone = {id(node.value) for node in ast.walk(file.tree) if isinstance(node, ast.Expr)}
    return [
        node
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
    ]


def is_generated(path: str) -> bool:
    return path.endswith("_pb2.py")


def refuse(faults: list[str]) -> None:
    """Fail the test with one line per fault."""
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


@cache
def files_below(*folders: str) -> list[SourceFile]:
    """Every Python file of ours below the folders, generated code left out. Each is read and parsed once."""
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            relative = path.relative_to(ROOT).as_posix()
            if not is_generated(relative):
                found.append(SourceFile(relative, path.read_text(encoding="utf-8")))
    return found


def kernel_files() -> list[SourceFile]:
    return files_below("kernel/src")


def plugin_files() -> list[SourceFile]:
    return files_below(*(f"plugins/{name}/src" for name in PLUGINS))


def projects() -> dict[str, dict[str, Any]]:
    """The `[project]` table of every distribution, by the path of its folder ('.' for the root)."""
    paths = [
        ROOT / "pyproject.toml",
        ROOT / "kernel/pyproject.toml",
        *sorted((ROOT / "plugins").glob("*/pyproject.toml")),
    ]
    return {
        path.parent.relative_to(ROOT).as_posix(): tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        for path in paths
    }
