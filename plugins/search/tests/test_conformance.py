"""The kernel's checks of protocols and routines."""

import pytest
from peerkit_search.adapter import SearchPlugin
from peerkit_search.codec import CountRequest, QueryRequest, StoreItem, StoreRequest, encode_request
from peerkit_search.index_peers import PROTOCOL

from peerkit import Node
from peerkit.testing import SimNetwork, plugin_of, run
from peerkit.testing.protocol_checks import PROTOCOL_CHECKS, ProtocolBed, ProtocolCheck
from peerkit.testing.routine_checks import ROUTINE_CHECKS, RoutineBed, RoutineCheck

A, B = b"aaaaaa", b"bbbbbb"
PROFILE = {"node": {"network": "test", "enable": ["search", "discovery_kademlia", "secure_noise", "transport_tcp"]}}
ANSWERED = (
    QueryRequest(A, ((frozenset({A}),), (frozenset({B}),)), 20, "video"),
    CountRequest((A, B)),
    StoreRequest((StoreItem(b"no posting", 1),)),
)


@pytest.mark.parametrize("check", PROTOCOL_CHECKS, ids=lambda check: check.__name__)
def test_the_protocol_passes_the_check(check: ProtocolCheck) -> None:
    async def main() -> None:
        answered = [encode_request(each) for each in ANSWERED]
        await check(ProtocolBed(SimNetwork(), PROFILE, PROTOCOL, answered))

    run(main())


@pytest.mark.parametrize("check", ROUTINE_CHECKS, ids=lambda check: check.__name__)
def test_the_routines_pass_the_check(check: RoutineCheck) -> None:
    async def main() -> None:
        platform = SimNetwork().platform()
        async with Node.open(PROFILE, platform=platform) as node:
            for routine in plugin_of(node, "search", SearchPlugin).peerkit_register_routines():
                await check(RoutineBed(routine, platform, node.data_dir))

    run(main())
