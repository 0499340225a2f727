"""Every hook has a plugin of ours that uses it, and says when it is called, with an example."""

import ast
from collections.abc import Iterable

from tests.architecture.source_tree import PLUGINS, ROOT, SourceFile, files_below, plugin_files, refuse

HOOKSPECS = "kernel/src/peerkit/hookspecs.py"


def _decorated(file: SourceFile, decorator: str) -> list[ast.FunctionDef]:
    return [
        node
        for node in ast.walk(file.tree)
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(mark).split("(")[0].split(".")[-1] == decorator for mark in node.decorator_list)
    ]


def declared_hooks(hookspecs: SourceFile) -> dict[str, str]:
    """Name and docstring of every hook."""
    return {node.name: ast.get_docstring(node) or "" for node in _decorated(hookspecs, "hookspec")}


def used_hooks(files: Iterable[SourceFile]) -> set[str]:
    return {node.name for file in files for node in _decorated(file, "hookimpl")}


def undocumented_hooks(hooks: dict[str, str]) -> list[str]:
    return [name for name, text in hooks.items() if "Example::" not in text or f"def {name}(" not in text]


def _hooks() -> dict[str, str]:
    return {
        name: text
        for file in files_below("kernel/src")
        if file.path == HOOKSPECS
        for name, text in declared_hooks(file).items()
    }


def test_every_hook_is_documented_with_an_example() -> None:
    refuse(undocumented_hooks(_hooks()))


def test_every_hook_is_used_by_a_plugin_of_ours() -> None:
    whole = all((ROOT / f"plugins/{name}/src/peerkit_{name}/plugin.py").is_file() for name in PLUGINS)
    unused = _hooks().keys() - used_hooks(plugin_files())
    # While a standard plugin is not written, its hooks have no user yet.
    assert not whole or unused == set()


def test_plugins_implement_only_hooks_that_exist() -> None:
    hooks = _hooks()
    named = {name for name in used_hooks(plugin_files()) if name.startswith("peerkit_")}
    assert not hooks or named - hooks.keys() == set()


def test_rule_sees_hooks_that_are_undocumented_or_unused() -> None:
    spec = SourceFile(
        "kernel/src/peerkit/hookspecs.py",
        """
class Hooks:
    @hookspec
    def peerkit_register_good(self):
        '''Offer. Example::

            @hookimpl
            def peerkit_register_good(self): ...
        '''
    @hookspec(firstresult=False)
    def peerkit_register_bare(self): ...
""",
    )
    hooks = declared_hooks(spec)
    assert undocumented_hooks(hooks) == ["peerkit_register_bare"]
    plugin = SourceFile(
        "plugins/a/src/peerkit_a/plugin.py",
        "class P:\n    @peerkit.hookimpl\n    def peerkit_register_good(self): ...\n"
        "    def peerkit_register_bare(self): ...\n",
    )
    assert hooks.keys() - used_hooks([plugin]) == {"peerkit_register_bare"}
