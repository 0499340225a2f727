"""Fixtures for tests of protocols and plugins; pytest loads them by itself where Peerkit is installed.

    async def test_two_nodes_talk(two_nodes):
        a, b = await two_nodes(protocols=[ECHO])
        peer = await a.connect(b.addresses[0])
        assert await peer.request(ECHO.id, b"hello") == b"hello"

A coroutine test that asks for `net`, `two_nodes` or `swarm` runs under virtual time, and its nodes stop when it ends.
`--peerkit-seed N` (or `PEERKIT_SEED`) gives another run than the usual one of seed 0, `random` another each time; a
test that fails tells its seed.
"""

import inspect
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..node import Node
    from ..protocol import ProtocolSpec
    from .fakes import FakeClock

    StartNodes = Callable[..., Awaitable[list[Node]]]

MAX_SEED = 1 << 32


class _InLoop:
    """Stands for what a coroutine test gets when its loop runs."""

    def __repr__(self) -> str:
        return "made when the test runs; only a coroutine test can use it"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("peerkit")
    group.addoption("--peerkit-seed", default=os.environ.get("PEERKIT_SEED", "0"), metavar="N|random", help="0")


def pytest_configure(config: pytest.Config) -> None:
    text = str(config.getoption("--peerkit-seed"))
    if text == "random":
        config.option.peerkit_seed = str(secrets.randbelow(MAX_SEED))
    elif not text.isdecimal():
        raise pytest.UsageError(f"--peerkit-seed: {text!r} is neither a number nor `random`")


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("--peerkit-seed")
    return None if seed == "0" else f"peerkit: seed {seed}"


@pytest.fixture
def clock() -> "FakeClock":
    """A clock that goes on when the test says so, for machines without I/O."""
    from .fakes import FakeClock

    return FakeClock()


@pytest.fixture
def net() -> Any:
    """The simulated network of this test: `peerkit.testing.SimNetwork`."""
    return _InLoop()


@pytest.fixture
def swarm() -> Any:
    """`await swarm(count, profile, *, protocols=(), plugins=None, **options)` starts that many nodes on `net`;
    `options` are those of `peerkit.testing.Swarm`.  The first is everybody's bootstrap peer."""
    return _InLoop()


@pytest.fixture
def two_nodes() -> Any:
    """`a, b = await two_nodes(profile, *, protocols=(), plugins=None)`: two that know nobody."""
    return _InLoop()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test of ours; any other is somebody else's."""
    wanted = [name for name, value in pyfuncitem.funcargs.items() if isinstance(value, _InLoop)]
    if not wanted:
        return None
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        pytest.fail(f"{pyfuncitem.name} uses {wanted[0]} and must be `async def`", pytrace=False)
    from . import run

    names = pyfuncitem._fixtureinfo.argnames
    given = {name: pyfuncitem.funcargs[name] for name in names}
    run(_in_loop(pyfuncitem.obj, given), seed=int(pyfuncitem.config.getoption("--peerkit-seed")))
    return True


async def _in_loop(test: Callable[..., Awaitable[None]], given: dict[str, Any]) -> None:
    from . import SimNetwork, Swarm

    network = SimNetwork()
    async with AsyncExitStack() as stack:

        async def start_swarm(
            count: int, profile: Any = "local", *, protocols: "Sequence[ProtocolSpec]" = (), **options: Any
        ) -> "list[Node]":
            made = await stack.enter_async_context(
                Swarm(network, profile, protocols=lambda _number: protocols, **options)
            )
            return await made.start(count)

        async def start_two(profile: Any = "local", **options: Any) -> "list[Node]":
            return await start_swarm(2, profile, bootstraps=0, **options)

        made = {"net": network, "swarm": start_swarm, "two_nodes": start_two}
        await test(**{name: made[name] if isinstance(value, _InLoop) else value for name, value in given.items()})
