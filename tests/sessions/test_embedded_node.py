"""What an application asks of the node that it holds: operations, and what plugins provide."""

from collections.abc import Sequence

import pytest

from peerkit import Node, Operation, PluginContext, PluginSpec, Settings, hookimpl
from peerkit.capabilities import BLOB_STORE, DIALER, NETWORK_KEY
from peerkit.errors import NotFound, PluginError, Unavailable, UsageError
from peerkit.operation import Call, Model
from peerkit.testing import SimNetwork, run

PROFILE = {"node": {"enable": ["secure_noise", "transport_tcp"]}}


class Count(Model):
    up_to: int


class Number(Model):
    value: int


class Counter:
    def __init__(self, ctx: PluginContext[Settings]) -> None: ...

    @hookimpl
    def peerkit_register_operations(self) -> Sequence[Operation[Count]]:
        return [Operation("count", Count, Number, self._count, many=True)]

    async def _count(self, request: Count, call: Call) -> Sequence[Number]:
        if request.up_to == 13:
            raise NotFound("13 is not there")
        if request.up_to == 0:
            raise ValueError("a bug")
        numbers = [Number(value=value) for value in range(request.up_to)]
        for number in numbers:
            call.item(number)
            call.progress(number.value, request.up_to)
        return numbers


def test_an_application_calls_operations_and_uses_capabilities() -> None:
    async def main() -> None:
        plugins = {"counter": PluginSpec(Settings, Counter)}
        async with Node.open(PROFILE, platform=SimNetwork().platform(), plugins=plugins) as node:
            items: list[object] = []
            done: list[float] = []
            got = await node.call("count", up_to=2, on_item=items.append, on_progress=lambda p: done.append(p.done))
            assert got == items == [{"value": 0}, {"value": 1}]
            assert done == [0, 1]
            with pytest.raises(NotFound):
                await node.call("count", up_to=13)
            with pytest.raises(PluginError, match="plugin counter failed in operation count"):
                await node.call("count", up_to=0)
            with pytest.raises(UsageError, match="up_to"):
                await node.call("count", up_to="many")
            with pytest.raises(UsageError, match="did you mean count"):
                await node.call("cuont")
            assert node.require(DIALER) is node.pool
            assert len(node.require(NETWORK_KEY).derive(b"example")) == 32
            with pytest.raises(Unavailable, match="no enabled plugin provides"):
                node.require(BLOB_STORE)

    run(main())
