"""The kernel's checks of sessions over TCP and TLS on real sockets."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from peerkit import Node
from peerkit.testing.session_checks import SESSION_CHECKS, SessionBed, SessionCheck, check_protocols


def open_node(scheme: str) -> AbstractAsyncContextManager[Node]:
    node = {"listen": [f"{scheme}://127.0.0.1:0"], "network": "test", "enable": ["secure_noise", "transport_tcp"]}
    return Node.open({"node": node}, protocols=check_protocols())


# TLS has its own ways of reading and closing; what is above them was checked over TCP.
OVER_TLS = ("streams_arrive_in_order", "a_close_is_told")
BEDS = [("tcp", check) for check in SESSION_CHECKS]
BEDS += [("tls", check) for check in SESSION_CHECKS if check.__name__ in OVER_TLS]


@pytest.mark.integration
@pytest.mark.parametrize(("scheme", "check"), BEDS, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_sessions_on_real_sockets_pass_the_check(scheme: str, check: SessionCheck) -> None:
    async def main() -> None:
        async with open_node(scheme) as a, open_node(scheme) as b:
            await check(SessionBed(a, b, b.addresses[0]))

    asyncio.run(main())
