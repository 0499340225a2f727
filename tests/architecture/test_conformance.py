"""Each plugin of ours runs the checks of `peerkit.testing` for all that it registers and provides."""

import ast
import re
from collections.abc import Iterable

from tests.architecture.source_tree import PLUGINS, SourceFile, files_below, refuse

CHECKS_OF_HOOK = {
    "peerkit_register_discoveries": "DISCOVERY_CHECKS",
    "peerkit_register_protocols": "PROTOCOL_CHECKS",
    "peerkit_register_routines": "ROUTINE_CHECKS",
    "peerkit_register_trust_policies": "TRUST_POLICY_CHECKS",
}
_PROVIDES = re.compile(r"\bctx\.provide\((\w+),")


def owed_checks(sources: Iterable[SourceFile]) -> set[str]:
    owed: set[str] = set()
    for file in sources:
        owed |= {checks for hook, checks in CHECKS_OF_HOOK.items() if f"def {hook}(" in file.text}
        owed |= {f"{token}_CHECKS" for token in _PROVIDES.findall(file.text)}
    return owed


def run_checks(tests: Iterable[SourceFile]) -> set[str]:
    files = [file for file in tests if "_CHECKS" in file.text]
    return {node.id for file in files for node in ast.walk(file.tree) if isinstance(node, ast.Name)}


def test_every_plugin_runs_the_checks_of_its_kinds() -> None:
    refuse(
        [
            f"plugins/{name}/tests do not run {checks} of peerkit.testing"
            for name in PLUGINS
            for checks in sorted(
                owed_checks(files_below(f"plugins/{name}/src")) - run_checks(files_below(f"plugins/{name}/tests"))
            )
        ]
    )


def test_rule_sees_checks_that_are_not_run() -> None:
    source = SourceFile(
        "plugins/a/src/a.py",
        "class A:\n    def __init__(self, ctx):\n        ctx.provide(THING, self)\n"
        "    @hookimpl\n    def peerkit_register_routines(self): ...\n",
    )
    test = SourceFile(
        "plugins/a/tests/test_a.py", "from kit import THING_CHECKS\nfor check in ROUTINE_CHECKS: check()\n"
    )
    assert owed_checks([source]) - run_checks([test]) == {"THING_CHECKS"}
