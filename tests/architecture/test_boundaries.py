"""The kernel knows no plugin; a plugin knows no other and not the kernel's inside; one module knows protobuf."""

from collections.abc import Collection

from tests.architecture.source_tree import (
    PLUGINS,
    SourceFile,
    imports_of,
    kernel_files,
    plugin_files,
    refuse,
    string_constants,
)


def plugins_named_by_the_kernel(file: SourceFile, plugins: Collection[str]) -> list[str]:
    """Imports of a plugin, and strings that name one.

    A plugin of one plain word (`search`) is looked for by its package names only: the word has other uses.
    """
    faults = [
        f"{file.path}:{found.line}: the kernel imports {found.module}"
        for found in imports_of(file)
        if found.module.startswith("peerkit_")
    ]
    words = {
        word for name in plugins for word in (f"peerkit_{name}", f"peerkit-{name.replace('_', '-')}", f"plugins.{name}")
    }
    words |= {name for name in plugins if "_" in name}
    for constant in string_constants(file):
        faults += [
            f"{file.path}:{constant.lineno}: the kernel names the plugin {word!r}"
            for word in sorted(words)
            if word in str(constant.value)
        ]
    return faults


def foreign_imports_of_a_plugin(file: SourceFile, plugins: Collection[str]) -> list[str]:
    faults = []
    for found in imports_of(file):
        parts = found.module.split(".")
        if parts[0].startswith("peerkit_") and parts[0] != file.package:
            faults.append(f"{file.path}:{found.line}: imports another plugin, {found.module}")
        if parts[0] == "peerkit" and any(part.startswith("_") for part in parts):
            faults.append(f"{file.path}:{found.line}: imports the kernel's inside, {found.module}")
    others = {f"peerkit_{name}" for name in plugins} - {file.package}
    faults += [
        f"{file.path}:{constant.lineno}: names another plugin's package, {constant.value!r}"
        for constant in string_constants(file)
        if any(str(constant.value).split(".")[0] == other for other in others)
    ]
    return faults


def generated_code_outside_the_codec(file: SourceFile) -> list[str]:
    if file.name == "codec.py":
        return []
    return [
        f"{file.path}:{found.line}: imports {found.module}; only codec.py may"
        for found in imports_of(file)
        if any(part.endswith("_pb2") for part in found.module.split("."))
    ]


def test_kernel_names_no_plugin() -> None:
    refuse([fault for file in kernel_files() for fault in plugins_named_by_the_kernel(file, PLUGINS)])


def test_plugin_imports_no_other_plugin_and_no_kernel_inside() -> None:
    refuse([fault for file in plugin_files() for fault in foreign_imports_of_a_plugin(file, PLUGINS)])


def test_generated_code_is_imported_by_the_codec_only() -> None:
    files = [*kernel_files(), *plugin_files()]
    refuse([fault for file in files for fault in generated_code_outside_the_codec(file)])


def test_rule_sees_a_kernel_that_knows_a_plugin() -> None:
    text = '''"""Docs may say warehouse and secure_noise."""
import peerkit_warehouse.plugin
def load():
    from peerkit_search import plugin
    return "secure_noise", "search", "peerkit-search"
'''
    faults = plugins_named_by_the_kernel(SourceFile("kernel/src/peerkit/a.py", text), ["secure_noise", "search"])
    assert [fault.split(": ", 1)[1] for fault in faults] == [
        "the kernel imports peerkit_warehouse.plugin",
        "the kernel imports peerkit_search.plugin",
        "the kernel names the plugin 'secure_noise'",
        "the kernel names the plugin 'peerkit-search'",
    ]


def test_rule_sees_a_plugin_that_reaches_too_far() -> None:
    text = """import importlib
from peerkit import PeerId, _host
from peerkit._io.files import x
from peerkit_search.own import fine
from .own import fine
if condition:
    import peerkit_warehouse
importlib.import_module("peerkit_warehouse.plugin")
"""
    file = SourceFile("plugins/search/src/peerkit_search/a.py", text)
    lines = [fault.split(":")[1] for fault in foreign_imports_of_a_plugin(file, ["search", "warehouse"])]
    assert lines == ["2", "3", "7", "8"]


def test_rule_sees_generated_code_outside_the_codec() -> None:
    text = "from .wire.v1 import search_pb2 as pb\nfrom peerkit_search.wire.v1.search_pb2 import Query\n"
    folder = "plugins/search/src/peerkit_search"
    assert len(generated_code_outside_the_codec(SourceFile(f"{folder}/lookup.py", text))) == 2
    assert generated_code_outside_the_codec(SourceFile(f"{folder}/codec.py", text)) == []
