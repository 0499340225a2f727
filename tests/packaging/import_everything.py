"""Imports every module of the kernel, then of each plugin in a process of its own, with nothing else in sight than what
the distribution declares.

    python -I -S import_everything.py KERNEL_FOLDER PLUGIN=FOLDER…

A folder holds the modules of one distribution and of all that it brings.
"""

import importlib
import importlib.metadata
import os
import pkgutil
import sys

NOT_WITHOUT = ("peerkit.testing.pytest_plugin", "peerkit.__main__")  # pytest; the second runs the command


def import_all(package: str) -> None:
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(module.__path__, package + "."):
        if found.name not in NOT_WITHOUT:
            importlib.import_module(found.name)


def main(kernel: str, *plugins: str) -> int:
    sys.path.insert(0, kernel)
    assert not importlib.metadata.entry_points(group="peerkit"), "the kernel alone brings a plugin"
    import_all("peerkit")
    failed = 0
    for plugin in plugins:
        name, _, sys.path[0] = plugin.partition("=")
        child = os.fork()  # the kernel's modules are there already
        if not child:
            (entry_point,) = importlib.metadata.entry_points(group="peerkit")
            assert entry_point.name == name
            entry_point.load()
            import_all(f"peerkit_{name}")
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            failed += 1
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
