"""A download between two homes that have TCP alone: it begins over a relay and ends on the direct session."""

from pathlib import Path

from peerkit.event import AddressesChanged, SessionPathsChanged
from peerkit.testing import SimNetwork, run
from plugins.holepunch.tests.nodes import homes
from plugins.warehouse.tests.beds import digest, get, make_file, share

SIZE = 16 << 20
NODE = {
    "listen": ["tcp://0.0.0.0:4433"],
    "enable": [
        "secure_noise",
        "transport_udp",
        "transport_tcp",
        "public_address",
        "relay",
        "holepunch",
        "warehouse",
    ],
}
PUBLIC = {**NODE, "enable": NODE["enable"][:-1]}


def test_a_download_follows_its_session_from_the_relay_to_the_direct_connection(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork(latency_s=(0.02, 0.03), bandwidth_bytes_per_s=2_500_000)
        async with homes("port_restricted", "port_restricted", node=NODE, public_node=PUBLIC, net=net) as at:
            async for _ in at.b.events.subscribe(AddressesChanged, replay=True):
                if any(address.via for address in at.b.addresses):
                    break
            file = make_file(tmp_path / "file", SIZE)
            (shared,) = await share(at.b, file)
            got = await get(at.a, shared.link, tmp_path / "got")
            assert digest(tmp_path / "got") == digest(file) and got.sources == 1
            async with at.a.pool.transient(at.b.peer_id) as direct:
                assert direct.transport == "tcp" and direct.stats.bytes_received > SIZE / 2
            ways = [e.event.kind for e in at.a.events.recent() if isinstance(e.event, SessionPathsChanged)]
            assert ways[0] == "relayed" and ways[-1] == "direct"

    run(main(), seed=3)
