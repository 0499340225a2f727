"""Protocol logic is sans-IO: outside the named places nothing is imported that reads a clock, a socket or a disk."""

from tests.architecture.source_tree import SourceFile, imports_of, kernel_files, plugin_files, refuse

IMPURE_MODULES = (
    "asyncio",
    "concurrent",
    "os",
    "pathlib",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "uvloop",
)

# Everything else in the kernel is pure.
IMPURE_IN_THE_KERNEL = (
    "_io/",
    "_control/",
    "_cli/",
    "_runtime/",
    "testing/",
    "client/",
    "node.py",
    "_config/files.py",  # reads profiles
    "_host/context.py",  # what a plugin sees of loop and disk
    "_host/plugin_host.py",  # runs plugins
    "_host/run_time_control.py",  # one change of them at a time
)

# Interfaces whose words include a path: they name the type and touch no file.
PATH_IS_A_WORD = ("_config/node_settings.py", "_config/profile.py", "operation.py", "platform.py", "plugin.py")

# A plugin of these kinds speaks a protocol: pure but for its adapter.
PROTOCOL_KINDS = ("secure_", "transport_", "discovery_", "holepunch", "nat_upnp", "gossip", "lan_broadcast", "relay")
IMPURE_IN_A_PROTOCOL_PLUGIN = ("adapter.py", "io/")


def must_be_pure(file: SourceFile) -> bool:
    if file.package == "peerkit":
        return not file.inner_path.startswith(IMPURE_IN_THE_KERNEL)
    if not file.package.removeprefix("peerkit_").startswith(PROTOCOL_KINDS):
        return False
    return not file.inner_path.startswith(IMPURE_IN_A_PROTOCOL_PLUGIN)


def impure_imports(file: SourceFile) -> list[str]:
    if not must_be_pure(file):
        return []
    allowed = ("pathlib",) if file.package == "peerkit" and file.inner_path in PATH_IS_A_WORD else ()
    return [
        f"{file.path}:{found.line}: a pure file imports {found.module}"
        for found in imports_of(file)
        if not found.types_only
        and found.module.split(".")[0] in IMPURE_MODULES
        and not found.module.startswith(allowed)
    ]


def test_pure_files_import_nothing_impure() -> None:
    refuse([fault for file in [*kernel_files(), *plugin_files()] for fault in impure_imports(file)])


def test_rule_sees_an_impure_import() -> None:
    text = "from time import monotonic\ndef f():\n    import os.path\n"
    for path in (
        "kernel/src/peerkit/session.py",
        "kernel/src/peerkit/_session/mux.py",
        "plugins/transport_tcp/src/peerkit_transport_tcp/plugin.py",
        "plugins/discovery_kademlia/src/peerkit_discovery_kademlia/lookup.py",
    ):
        assert len(impure_imports(SourceFile(path, text))) == 2, path


def test_rule_lets_the_named_places_do_io() -> None:
    text = "import asyncio\n"
    for path in (
        "kernel/src/peerkit/_io/udp.py",
        "kernel/src/peerkit/node.py",
        "plugins/transport_tcp/src/peerkit_transport_tcp/adapter.py",
        "plugins/secure_noise/src/peerkit_secure_noise/io/files.py",
        "plugins/warehouse/src/peerkit_warehouse/store.py",
    ):
        assert impure_imports(SourceFile(path, text)) == [], path


def test_rule_lets_a_type_be_named() -> None:
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from asyncio import Task\nelse:\n    import socket\n"
    )
    faults = impure_imports(SourceFile("kernel/src/peerkit/trust.py", text))
    assert faults == ["kernel/src/peerkit/trust.py:5: a pure file imports socket"]
