"""The pages of hooks and capabilities say what the code says: all of them, as they are, with examples that run."""

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest

from peerkit import Node, PluginSpec, Settings, capabilities, hookspecs
from peerkit._host.entry_points import installed_plugins
from peerkit.capabilities import KERNEL_CAPABILITIES, Capability
from peerkit.testing import SimNetwork, run

DOCS = Path(__file__).parents[2] / "docs"
HOOKS = {name: hook for name, hook in vars(hookspecs.Hooks).items() if name.startswith("peerkit_")}
TOKENS = {name: token for name, token in vars(capabilities).items() if isinstance(token, Capability)}
PROFILE = {"node": {"enable": ["secure_noise", "transport_tcp"]}}


def sections(page: str) -> dict[str, str]:
    """Heading → text, of the second level, in order."""
    parts = re.split(r"^## (.+)$", (DOCS / page).read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(text: str) -> list[str]:
    return re.findall(r"```py\n(.*?)```", text, re.DOTALL)


HOOK_SECTIONS = {name: text for name, text in sections("hooks.md").items() if name.startswith("peerkit_")}
CAPABILITY_SECTIONS = {name: text for name, text in sections("capabilities.md").items() if name.isupper()}


def test_the_page_has_every_hook_in_the_order_of_asking() -> None:
    assert list(HOOK_SECTIONS) == list(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_shown_as_it_is_declared(name: str) -> None:
    (declared,) = ast.parse(textwrap.dedent(inspect.getsource(HOOKS[name]))).body
    assert isinstance(declared, ast.FunctionDef)
    declared.decorator_list, declared.body = [], [ast.Expr(ast.Constant(...))]
    shown, example = blocks(HOOK_SECTIONS[name])
    assert shown.rstrip() + ":\n    ..." == ast.unparse(declared)
    assert f"def {name}(self)" in example
    for part in ("**For**", "**The kernel promises**", "**The plugin promises**", "**Raises or hangs.**"):
        assert part in HOOK_SECTIONS[name]


@pytest.mark.parametrize("name", HOOKS)
def test_the_example_of_a_hook_is_a_plugin_that_a_node_takes(name: str) -> None:
    example = blocks(HOOK_SECTIONS[name])[1]
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(example, f"hooks.md {name}", "exec"), names)
    (cls,) = (value for value in names.values() if isinstance(value, type) and name in vars(value))

    async def main() -> None:
        made: list[object] = []

        def factory(ctx: object) -> object:
            made.append(cls(ctx))
            return made[-1]

        plugins = {"example": PluginSpec(Settings, factory)}
        async with Node.open(PROFILE, platform=SimNetwork().platform(), plugins=plugins) as node:
            (status,) = (status for status in node.host.status() if status.name == "example")
            assert status.running and getattr(made[0], name)() != []

    run(main())


def test_the_padding_of_the_wrapper_example_comes_off_again() -> None:
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(blocks(HOOK_SECTIONS["peerkit_register_wrappers"])[1], "hooks.md", "exec"), names)
    pad = names["Pad"](None)  # type: ignore[operator]
    for size in (0, 1, 63, 64, 65, 1_000):
        wrapped = pad.wrap(bytes(size))
        assert len(wrapped) % 64 == 0 and len(wrapped) <= size + pad.overhead and pad.unwrap(wrapped) == bytes(size)


def test_the_page_has_every_capability_in_the_order_of_the_code() -> None:
    kernel = [name for name, token in TOKENS.items() if token.name in KERNEL_CAPABILITIES]
    assert set(CAPABILITY_SECTIONS) == set(TOKENS)
    assert set([*CAPABILITY_SECTIONS][: len(kernel)]) == set(kernel)


@pytest.mark.parametrize("name", TOKENS)
def test_a_capability_is_shown_as_it_is_declared(name: str) -> None:
    token, text = TOKENS[name], CAPABILITY_SECTIONS[name]
    annotation: str = capabilities.__annotations__[name]
    interface = annotation.removeprefix("Capability[").removesuffix("]")
    head = text.strip().splitlines()[0]
    assert head.startswith(f"`{token.name}` · {'many' if token.many else 'one'} · `{interface}` · ")
    members = [member for member in vars(getattr(capabilities, interface)) if not member.startswith("_")]
    assert [member for member in members if f"`{member}" not in text] == []
    for part in ("**Promises.**", "**Asks**") if token.name in KERNEL_CAPABILITIES else ("**The provider promises**",):
        assert part in text


def test_the_table_says_who_provides_and_uses_which_capability() -> None:
    page = (DOCS / "capabilities.md").read_text("utf-8")
    shown = {cells[0]: tuple(cells[1:]) for cells in re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", page, re.M)}
    plugins = [plugin for plugin in installed_plugins().values() if plugin.distribution.startswith("peerkit-")]

    def of(kind: str, capability: str) -> str:
        return ", ".join(sorted(plugin.name for plugin in plugins if capability in getattr(plugin, kind)))

    assert shown == {
        name: (
            "the kernel" if token.name in KERNEL_CAPABILITIES else of("provides", token.name),
            of("requires", token.name),
            of("uses", token.name),
        )
        for name, token in TOKENS.items()
    }
