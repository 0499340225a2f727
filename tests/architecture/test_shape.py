"""What a file may hold: its length, its tasks, its exception handlers; and that tests do not sleep."""

import ast

from tests.architecture.source_tree import (
    PLUGINS,
    SourceFile,
    files_below,
    imports_of,
    kernel_files,
    plugin_files,
    refuse,
)

MAX_LINES = 400

# Tasks start under the supervisor, under virtual time, in the client (it runs in programs that have no node), and for
# the peek at a connection's first byte, before there is anything a supervisor could know.
TASKS_START_IN = (
    "kernel/src/peerkit/_io/system_listener.py",
    "kernel/src/peerkit/_runtime/supervisor.py",
    "kernel/src/peerkit/testing/",
    "kernel/src/peerkit/client/",
)


# Where a test may wait on the real clock: for the system's own network and processes, or to see that a wait is found.
SLEEPS_IN = (
    "kernel/tests/testing/test_trust_checks.py",
    "plugins/discovery_kademlia/tests/integration/test_kademlia_on_tcp.py",
    "plugins/public_address/tests/integration/test_on_loopback.py",
    "plugins/search/tests/integration/test_search_real_plugins.py",
    "tests/natlab/",
    "tests/netns/",
)


def long_file(file: SourceFile) -> list[str]:
    lines = file.text.count("\n")
    return [f"{file.path}: {lines} lines, at most {MAX_LINES}"] if lines > MAX_LINES else []


def unsupervised_tasks(file: SourceFile) -> list[str]:
    """Calls that start a task. `name.create_task` in `async with TaskGroup() as name` may: it ends with its block."""
    if file.path.startswith(TASKS_START_IN):
        return []
    groups = {
        item.optional_vars.id
        for node in ast.walk(file.tree)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name)
        and ast.unparse(item.context_expr) in ("asyncio.TaskGroup()", "TaskGroup()")
    }
    faults = []
    for node in ast.walk(file.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="create_task" | "ensure_future" as verb, value=receiver)):
                if not (verb == "create_task" and isinstance(receiver, ast.Name) and receiver.id in groups):
                    faults.append(f"{file.path}:{node.lineno}: {verb} outside the supervisor")
            case ast.Call(func=ast.Name(id="create_task" | "ensure_future" as verb)):
                faults.append(f"{file.path}:{node.lineno}: {verb} outside the supervisor")
            case _:
                pass
    return faults


def catch_alls(file: SourceFile) -> list[str]:
    """`file:function` for each handler of `Exception`, bare `except`, `suppress(Exception)`, or `except BaseException`
    that does not raise again."""
    found: list[str] = []
    _collect_catch_alls(file.tree, file.path, "module", found)
    return found


def _collect_catch_alls(node: ast.AST, path: str, function: str, found: list[str]) -> None:
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if (isinstance(child, ast.ExceptHandler) and _catches_everything(child)) or (
            isinstance(child, ast.Call)
            and ast.unparse(child.func) in ("suppress", "contextlib.suppress")
            and any(ast.unparse(argument) in ("Exception", "BaseException") for argument in child.args)
        ):
            found.append(f"{path}:{inner}")
        _collect_catch_alls(child, path, inner, found)


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {ast.unparse(kind).removeprefix("builtins.") for kind in caught}
    if "Exception" in names:
        return True
    raises = any(isinstance(node, ast.Raise) for statement in handler.body for node in ast.walk(statement))
    return "BaseException" in names and not raises


def sleeps(file: SourceFile) -> list[str]:
    """Waits on the real clock. `asyncio.sleep` is free under virtual time: a file that uses `peerkit.testing` may."""
    if ".sleep(" not in file.text:
        return []  # to look through every call takes long
    virtual = any(found.is_of("peerkit.testing") for found in imports_of(file))
    faults = []
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called == "time.sleep":
            faults.append(f"{file.path}:{node.lineno}: time.sleep in a test")
        elif called == "asyncio.sleep" and not virtual and [ast.unparse(argument) for argument in node.args] != ["0"]:
            faults.append(f"{file.path}:{node.lineno}: asyncio.sleep on the real clock in a test")
    return faults


def test_no_file_is_longer_than_one_sitting() -> None:
    files = files_below("kernel", "plugins", "tests", "bench", "tools", "docs")
    refuse([fault for file in files for fault in long_file(file)])


def test_tasks_are_started_by_the_supervisor() -> None:
    refuse([fault for file in [*kernel_files(), *plugin_files()] for fault in unsupervised_tasks(file)])


def test_one_function_catches_everything() -> None:
    places = {place for file in [*kernel_files(), *plugin_files()] for place in catch_alls(file)}
    assert len(places) <= 1, f"except Exception stands in {len(places)} functions: {sorted(places)}"


def test_tests_do_not_sleep() -> None:
    files = files_below("tests", "kernel/tests", *(f"plugins/{name}/tests" for name in PLUGINS))
    refuse([fault for file in files if not file.path.startswith(SLEEPS_IN) for fault in sleeps(file)])


def test_who_may_sleep_does() -> None:
    sleeping = {file.path for file in files_below("tests", "kernel/tests", "plugins") if sleeps(file)}
    assert [place for place in SLEEPS_IN if not any(path.startswith(place) for path in sleeping)] == []


def test_rule_sees_a_long_file() -> None:
    assert long_file(SourceFile("a.py", "x = 1\n" * MAX_LINES)) == []
    assert long_file(SourceFile("a.py", "x = 1\n" * (MAX_LINES + 1))) == ["a.py: 401 lines, at most 400"]


def test_rule_sees_unsupervised_tasks() -> None:
    text = """import asyncio
async def f(loop, group):
    asyncio.create_task(g())
    loop.create_task(g())
    asyncio.ensure_future(g())
    group.create_task(g())
    async with asyncio.TaskGroup() as mine:
        mine.create_task(g())
"""
    lines = [fault.split(":")[1] for fault in unsupervised_tasks(SourceFile("plugins/search/src/a.py", text))]
    assert lines == ["3", "4", "5", "6"]
    assert unsupervised_tasks(SourceFile("kernel/src/peerkit/_runtime/supervisor.py", text)) == []


def test_rule_sees_handlers_that_catch_everything() -> None:
    text = """
def one():
    try: pass
    except Exception: pass
def two():
    try: pass
    except (ValueError, Exception) as exc: raise exc
class A:
    def three(self):
        try: pass
        except: pass
def four():
    with contextlib.suppress(Exception): pass
def five():
    try: pass
    except BaseException: pass
def clean_up():
    try: pass
    except BaseException:
        close()
        raise
def narrow():
    try: pass
    except ExceptionGroup: pass
"""
    names = [place.split(":")[1] for place in catch_alls(SourceFile("a.py", text))]
    assert names == ["one", "two", "three", "four", "five"]


def test_rule_sees_a_test_that_sleeps() -> None:
    text = """import asyncio, time
time.sleep(1)
async def f():
    await asyncio.sleep(0)
    await asyncio.sleep(0.1)
"""
    lines = [fault.split(":")[1] for fault in sleeps(SourceFile("kernel/tests/a.py", text))]
    assert lines == ["2", "5"]
    virtual = SourceFile("kernel/tests/a.py", "from peerkit.testing import run\n" + text)
    assert [fault.split(":")[1] for fault in sleeps(virtual)] == ["3"]
