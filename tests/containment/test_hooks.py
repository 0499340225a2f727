"""Every hook × what a plugin can do wrong in it at a start: the node does not start, and one sentence names both."""

from collections.abc import Callable
from typing import Any

import pytest

from peerkit import ProtocolSpec
from peerkit._host.registry import KINDS, MAX_OFFERS
from peerkit.errors import PluginLoadError
from peerkit.plugin import hookimpl
from peerkit.testing import SimNetwork, run
from tests.containment.misbehaving import AnySpec, Context, Good, open_node, spec


def fail() -> Any:
    raise ZeroDivisionError("by design")


async def no_list() -> Any:
    return []


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "raises": (fail, "plugin bad failed in {hook}: ZeroDivisionError: by design"),
    "is a coroutine": (no_list, "plugin bad: {hook} must return a list or tuple, not coroutine"),
    "returns another thing": (lambda: [7], "plugin bad: {hook} returned int, which is not a"),
    "returns a flood": (lambda: [7] * (MAX_OFFERS + 1), "plugin bad: {hook} returned 1,001 things, more than 1,000"),
}


def plugin_with(kind: str, answer: Callable[[], Any]) -> AnySpec:
    def register(_self: object) -> Any:
        return answer()

    hook = f"peerkit_register_{kind}"
    register.__name__ = hook
    made = type("Bad", (), {"__init__": lambda _self, _ctx: None, hook: hookimpl(register)})
    return spec(made)


@pytest.mark.filterwarnings("ignore:coroutine 'no_list' was never awaited")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_a_hook_is_told_with_plugin_and_hook(kind: str, mistake: str) -> None:
    answer, sentence = MISTAKES[mistake]

    async def main() -> None:
        plugins = {"bad": plugin_with(kind, answer), "good": spec(Good)}
        with pytest.raises(PluginLoadError) as caught:
            async with open_node(SimNetwork(), plugins):
                pass
        (problem,) = caught.value.problems
        assert problem.startswith(sentence.format(hook=f"peerkit_register_{kind}"))

    run(main())


def test_more_protocols_than_a_hello_has_room_for_stop_the_node() -> None:
    class Many:
        def __init__(self, ctx: Context) -> None: ...

        @hookimpl
        def peerkit_register_protocols(self) -> list[ProtocolSpec]:
            return [ProtocolSpec(f"test.org/a-rather-long-name/{n}", "1.0.0") for n in range(500)]

    async def main() -> None:
        with pytest.raises(PluginLoadError, match="500 protocols are too many: the Hello that offers them has"):
            async with open_node(SimNetwork(), {"bad": spec(Many)}):
                pass

    run(main())
