"""The distributions: one version, few dependencies, each declared and pinned."""

import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source_tree import (
    PLUGINS,
    ROOT,
    SourceFile,
    imports_of,
    kernel_files,
    plugin_files,
    projects,
    refuse,
)

MAX_KERNEL_DEPENDENCIES = 9

# Modules that the installed distributions do not tell: a namespace, one half of a library, and our own, editable.
BROUGHT_BY = {"google": ["protobuf"], "pydantic_core": ["pydantic"], "peerkit": ["peerkit-kernel"]}

Project = Mapping[str, Any]


def differing_versions(by_folder: Mapping[str, Project]) -> list[str]:
    """Versions that are not the root's, and own packages that the root does not bring with `==` this version."""
    version = by_folder["."]["version"]
    faults = [
        f"{folder}: version {project['version']}, the root has {version}"
        for folder, project in by_folder.items()
        if project["version"] != version
    ]
    wanted = {f"{project['name']}=={version}" for folder, project in by_folder.items() if folder != "."}
    brought = set(by_folder["."]["dependencies"])
    return faults + [f"the root must depend on {name}" for name in sorted(wanted - brought)]


def dependencies(project: Project) -> set[str]:
    """Names of what it requires, extras included, in canonical spelling."""
    lists: list[Sequence[str]] = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    return {canonicalize_name(Requirement(line).name) for lines in lists for line in lines}


def undeclared_imports(file: SourceFile, declared: set[str], providers: Mapping[str, Sequence[str]]) -> list[str]:
    """Imports of a library that the file's own distribution does not declare.

    Args:
        providers: installed distributions by the top-level module they bring.
    """
    faults = []
    for found in imports_of(file):
        top = found.module.split(".")[0]
        if top in sys.stdlib_module_names or top == file.package or found.types_only:
            continue
        names = {canonicalize_name(name) for name in BROUGHT_BY.get(top) or providers.get(top, [])}
        if not names & declared:
            faults.append(f"{file.path}:{found.line}: imports {top}, which its pyproject.toml does not declare")
    return faults


def unfit_constraints(text: str) -> list[str]:
    """Lines that are no plain pin of somebody else's package."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [
        line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) or line.startswith("peerkit")
    ]


def test_all_distributions_carry_one_version() -> None:
    refuse(differing_versions(projects()))


def test_kernel_has_few_direct_dependencies() -> None:
    names = projects()["kernel"]["dependencies"]
    assert len(names) <= MAX_KERNEL_DEPENDENCIES, names


def test_plugins_depend_on_a_range_of_the_kernel_and_never_on_peerkit() -> None:
    for folder, project in projects().items():
        if folder.startswith("plugins/"):
            kernel = [line for line in project["dependencies"] if line.startswith("peerkit")]
            assert len(kernel) == 1, folder
            assert re.fullmatch(r"peerkit-kernel>=[0-9.]+,<[0-9.]+", kernel[0]), folder


def test_plugin_is_named_alike_everywhere() -> None:
    for name in PLUGINS:
        project = projects()[f"plugins/{name}"]
        assert project["name"] == f"peerkit-{name.replace('_', '-')}"
        assert project["entry-points"]["peerkit"] == {name: f"peerkit_{name}.plugin:plugin"}


def test_mypy_knows_every_source_folder() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    folders = ["kernel/src", *(f"plugins/{name}/src" for name in PLUGINS)]
    assert settings["mypy_path"] == [f"$MYPY_CONFIG_FILE_DIR/{folder}" for folder in folders]


def test_every_library_is_declared_where_it_is_imported() -> None:
    providers = packages_distributions()
    faults = []
    for folder, project in projects().items():
        files = kernel_files() if folder == "kernel" else plugin_files()
        mine = [file for file in files if file.path.startswith(f"{folder}/")]
        faults += [fault for file in mine for fault in undeclared_imports(file, dependencies(project), providers)]
    refuse(faults)


def test_constraints_are_plain_pins_of_everything() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    refuse(unfit_constraints(text))
    pinned = {line.split("==")[0] for line in text.splitlines()}
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    needed = {name for project in projects().values() for name in dependencies(project)}
    needed |= {canonicalize_name(line) for lines in groups.values() for line in lines}
    assert {name for name in needed if not name.startswith("peerkit")} - pinned == set()


def test_rule_sees_another_version_and_a_plugin_left_out() -> None:
    root = {"name": "peerkit", "version": "1.0", "dependencies": ["peerkit-kernel==1.0", "peerkit-a==0.9"]}
    kernel = {"name": "peerkit-kernel", "version": "1.0"}
    plugin = {"name": "peerkit-a", "version": "0.9"}
    faults = differing_versions({".": root, "kernel": kernel, "plugins/a": plugin})
    assert faults == ["plugins/a: version 0.9, the root has 1.0", "the root must depend on peerkit-a==1.0"]


def test_rule_sees_an_undeclared_library() -> None:
    file = SourceFile(
        "plugins/a/src/peerkit_a/b.py", "import os, blake3, peerkit\nfrom google.protobuf import message\n"
    )
    faults = undeclared_imports(file, {"peerkit-kernel"}, {"blake3": ["blake3"]})
    assert [fault.split("imports ")[1].split(",")[0] for fault in faults] == ["blake3", "google"]


def test_rule_sees_a_constraint_that_is_no_plain_pin() -> None:
    bad = ["pytest>=8", "peerkit==1.0", "--index-url https://example.org/simple", "x @ file:///tmp/x.whl"]
    assert unfit_constraints("# a comment\n\npytest==9.0.1\n" + "\n".join(bad)) == bad
