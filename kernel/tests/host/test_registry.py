"""What plugins register: order, types, names, and the mistakes that pluggy passes over in silence."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from kernel.tests.host.hosting import Context, Handshake, host_of, load, spec
from peerkit._host.registry import Extra
from peerkit.errors import PeerkitError, PluginConflictError, PluginLoadError
from peerkit.operation import Call, Nothing, Operation
from peerkit.plugin import hookimpl
from peerkit.protocol import ProtocolSpec
from peerkit.routine import Routine
from peerkit.testing import run
from peerkit.transport import Buffer
from peerkit.trust import Question, Verdict


async def nothing() -> None: ...


async def answer(request: Nothing, call: Call) -> Nothing:
    return Nothing()


class Policy:
    def __init__(self, name: str) -> None:
        self.name = name

    def decide(self, question: Question) -> Verdict | None:
        return None


class Padding:
    overhead = 8

    def __init__(self, name: str) -> None:
        self.name = name

    def wrap(self, plaintext: Buffer) -> bytes:
        return bytes(plaintext)

    def unwrap(self, data: Buffer) -> bytes:
        return bytes(data)


class Everything:
    """Registers one of each kind under `self.label`."""

    def __init__(self, ctx: Context) -> None:
        self.label = ctx.name

    @hookimpl
    def peerkit_register_wrappers(self) -> Sequence[Padding]:
        return [Padding(f"{self.label}_padding")]

    @hookimpl
    def peerkit_register_trust_policies(self) -> Sequence[Policy]:
        return [Policy(f"{self.label} policy")]

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return (ProtocolSpec(f"test/{self.label}", "1.0"),)

    @hookimpl
    def peerkit_register_routines(self) -> Sequence[Routine]:
        return [Routine(f"{self.label}.sweep", nothing, 1)]

    @hookimpl
    def peerkit_register_operations(self) -> Sequence[Operation[Nothing]]:
        return [Operation(f"{self.label}.do", Nothing, Nothing, answer)]


class Same(Everything):
    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.label = "same"


def load_error(plugins: dict[str, type[Any]], secure: bool = True, **node: object) -> PeerkitError:
    async def main() -> PeerkitError:
        with pytest.raises(PeerkitError) as caught:
            load(host_of({name: spec(cls) for name, cls in plugins.items()}, node, secure))
        return caught.value

    return run(main())


def test_results_come_in_the_order_of_plugin_names() -> None:
    async def main() -> None:
        names = ["b", "d", "a", "c"]
        registered = load(host_of({name: spec(Everything) for name in names})).registered
        assert list(registered.protocols) == [f"test/{n}" for n in sorted(names)]
        assert [owner for owner, _ in registered.routines] == sorted(names)
        assert [owner for owner, _ in registered.policies] == sorted(names)
        assert [w.name for w in registered.wrappers] == [f"{n}_padding" for n in sorted(names)]
        assert registered.protocol_owners["test/d"] == "d"
        assert registered.security is not None

    run(main())


def test_profile_orders_the_wrappers() -> None:
    async def main() -> None:
        plugins = {name: spec(Everything) for name in "abc"}
        registered = load(host_of(plugins, {"wrappers": ["c_padding", "a_padding"]})).registered
        assert [w.name for w in registered.wrappers] == ["c_padding", "a_padding", "b_padding"]

    run(main())
    assert "the wrapper lost" in str(load_error({"a": Everything}, wrappers=["lost"]))


def test_names_that_two_claim_are_all_told_with_both_sides() -> None:
    error = load_error({"a": Same, "b": Same})
    assert isinstance(error, PluginConflictError)
    for thing in ("wrapper same_padding", "trust policy same policy", "protocol test/same", "routine same.sweep"):
        assert f"{thing} is registered by both a and b" in str(error)
    assert "operation same.do" in str(error)


def test_application_and_plugin_may_not_claim_one_protocol() -> None:
    async def main() -> None:
        extra = Extra("application", protocols=[ProtocolSpec("test/a", "1.0")])
        with pytest.raises(PluginConflictError, match="protocol test/a is registered by both a and application"):
            load(host_of({"a": spec(Everything)}), extras=[extra])

    run(main())


def test_node_has_exactly_one_security_handshake() -> None:
    assert "no enabled plugin brings a security handshake" in str(load_error({"a": Everything}, secure=False))

    class Second:
        def __init__(self, ctx: Context) -> None: ...

        @hookimpl
        def peerkit_register_wrappers(self) -> Sequence[Handshake]:
            return [Handshake("second")]

    error = load_error({"x": Second})
    assert isinstance(error, PluginConflictError)
    assert "security of security and second of x" in str(error)


class NoMark:
    def __init__(self, ctx: Context) -> None: ...

    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return []


class UnknownHook:
    def __init__(self, ctx: Context) -> None: ...

    @hookimpl
    def peerkit_register_protocol(self) -> Sequence[ProtocolSpec]:
        return []


class Defaults:
    def __init__(self, ctx: Context) -> None: ...

    @hookimpl
    def peerkit_register_protocols(self, extra: int = 1) -> Sequence[ProtocolSpec]:
        return []


class MoreArguments:
    def __init__(self, ctx: Context) -> None: ...

    @hookimpl
    def peerkit_register_protocols(self, node: object) -> Sequence[ProtocolSpec]:
        return []


class Wrapper:
    def __init__(self, ctx: Context) -> None: ...

    @hookimpl(wrapper=True)
    def peerkit_register_protocols(self) -> Any:
        return (yield)


class NotAList:
    def __init__(self, ctx: Context) -> None: ...

    @hookimpl
    def peerkit_register_protocols(self) -> Any:
        return ProtocolSpec("test/x", "1.0")


class WrongItem:
    def __init__(self, ctx: Context) -> None: ...

    @hookimpl
    def peerkit_register_protocols(self) -> Any:
        return ["test/x"]


class HalfAPolicy:
    name = "half"

    def __init__(self, ctx: Context) -> None: ...

    @hookimpl
    def peerkit_register_trust_policies(self) -> Any:
        return [self]


class Raises:
    def __init__(self, ctx: Context) -> None: ...

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        raise KeyError("lost")


class PlainRun:
    def __init__(self, ctx: Context) -> None: ...

    def run(self) -> None: ...


class TouchyProperty:
    """A property that must not be read just because hooks are looked for."""

    def __init__(self, ctx: Context) -> None: ...

    @property
    def peerkit_state(self) -> int:
        raise KeyError

    @property
    def other(self) -> int:
        raise KeyError


MISTAKES: dict[type[Any], str] = {
    NoMark: "plugin p: method peerkit_register_protocols lacks @hookimpl",
    UnknownHook: "there is no hook peerkit_register_protocol; did you mean peerkit_register_protocols?",
    Defaults: "peerkit_register_protocols has default arguments",
    MoreArguments: "peerkit_register_protocols",
    Wrapper: "is a hook wrapper",
    NotAList: "peerkit_register_protocols must return a list or tuple, not ProtocolSpec",
    WrongItem: "peerkit_register_protocols returned str, which is not a ProtocolSpec",
    HalfAPolicy: "which is not a TrustPolicy: it lacks decide",
    Raises: "plugin p failed in peerkit_register_protocols: KeyError: 'lost'",
    PlainRun: "plugin p: run must be an async method",
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda cls: cls.__name__)
def test_mistake_of_a_plugin_stops_the_node_with_one_sentence(mistake: type[Any]) -> None:
    error = load_error({"p": mistake})
    assert isinstance(error, PluginLoadError)
    assert len(error.problems) == 1
    assert re.search(re.escape(MISTAKES[mistake]), error.problems[0])


def test_all_mistakes_are_told_at_once() -> None:
    error = load_error({f"p{n}": cls for n, cls in enumerate(MISTAKES)})
    assert isinstance(error, PluginLoadError)
    assert len(error.problems) == len(MISTAKES)


def test_properties_of_plugin_objects_are_not_read() -> None:
    async def main() -> None:
        load(host_of({"p": spec(TouchyProperty)}))

    run(main())
