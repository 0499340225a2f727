"""Find the router's own UPnP description by SSDP."""

import asyncio
import contextlib
import ipaddress

from peerkit.address import Address
from peerkit.errors import ConnectFailed, RemoteProtocolError
from peerkit.link import Gateway
from peerkit.network import Network

from .. import igd
from ..mapping import MappingFailed
from ..trusted import RouterUrl, router_url

WAITS_S = (0.5, 1.0, 2.0, 3.0)  # UPnP Device Architecture 1.1 §1.3.3: UDP is lost; MX allows a second
MAX_ANSWERS = 64  # a flood of answers from neighbours


async def search(network: Network, gateway: Gateway) -> RouterUrl:
    """Ask the group and the router itself.  Answers from anybody else do not count.  Raises `MappingFailed`."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[RouterUrl] = loop.create_future()
    answers = 0

    def on_batch(buffer: memoryview, segment_bytes: int, _local: Address, remote: Address, _now: float) -> None:
        nonlocal answers
        for at in range(0, len(buffer), segment_bytes):
            answers += 1
            if found.done() or answers > MAX_ANSWERS or remote.host != gateway.host:
                continue
            with contextlib.suppress(RemoteProtocolError):
                found.set_result(_judged(igd.location(bytes(buffer[at : at + segment_bytes])), gateway))

    is_v6 = ":" in gateway.host
    zone = gateway.host.partition("%")[2]
    group = (f"{igd.SSDP_GROUP_V6}%{zone}" if zone else igd.SSDP_GROUP_V6) if is_v6 else igd.SSDP_GROUP_V4
    try:
        # A router answers IPv6 from the address that fits ours: link-local to link-local.
        endpoint = await network.open_datagrams("::" if is_v6 else gateway.local, 0)
    except ConnectFailed as exc:
        raise MappingFailed(f"no socket for the search: {exc.reason}") from exc
    endpoint.register(0, 255, on_batch)
    try:
        for wait_s in WAITS_S:
            for host in (group, gateway.host):
                for device in igd.DEVICES:
                    question = igd.search(host.partition("%")[0], device)
                    endpoint.send_batch(None, Address("udp", host, igd.SSDP_PORT), len(question), [question])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    return await asyncio.shield(found)
        raise MappingFailed("no gateway device answers from the router's address")
    finally:
        endpoint.close()


def _judged(location: str, gateway: Gateway) -> RouterUrl:
    """Raises `RemoteProtocolError`: it leads elsewhere."""
    host = gateway.host.partition("%")[0]
    if ":" in host and ipaddress.ip_address(host).is_link_local:
        # The router, which speaks from its link-local address, may name its address in our own network.
        claimed = location.partition("[")[2].partition("]")[0]
        with contextlib.suppress(ValueError):
            network = ipaddress.ip_network((gateway.local, 64), strict=False)
            if ipaddress.ip_address(claimed) in network and claimed != gateway.local:
                host = claimed
    return router_url(location, host)
