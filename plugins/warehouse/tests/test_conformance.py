"""The kernel's checks of protocols, routines and blob stores."""

from pathlib import Path

import pytest
from peerkit_warehouse.content_id import ContentId
from peerkit_warehouse.plugin import Warehouse
from peerkit_warehouse.swarm import PROTOCOL
from peerkit_warehouse.transfer_codec import VERSION, Ask, Request

from peerkit.capabilities import BLOB_STORE
from peerkit.testing import SimNetwork, SimPlatform, plugin_of, provided_by, run
from peerkit.testing.protocol_checks import PROTOCOL_CHECKS, ProtocolBed, ProtocolCheck
from peerkit.testing.routine_checks import ROUTINE_CHECKS, RoutineBed, RoutineCheck
from peerkit.testing.storage_checks import BLOB_STORE_CHECKS, BlobStoreBed, BlobStoreCheck
from plugins.warehouse.tests.beds import make_file, open_node, share

PROFILE = {"node": {"network": "test", "enable": ["warehouse", "secure_noise", "transport_tcp"]}}
CONTENT = ContentId(bytes(range(32)))
STREAMS = [
    bytes([VERSION]) + request.to_bytes() for request in (Request(Ask.INFO, CONTENT), Request(Ask.RANGE, CONTENT, 3, 9))
]


@pytest.mark.parametrize("check", PROTOCOL_CHECKS, ids=lambda check: check.__name__)
def test_the_protocol_passes_the_check(check: ProtocolCheck) -> None:
    async def main() -> None:
        await check(ProtocolBed(SimNetwork(), PROFILE, PROTOCOL, streams=STREAMS))

    run(main())


@pytest.mark.parametrize("check", ROUTINE_CHECKS, ids=lambda check: check.__name__)
def test_the_routine_passes_the_check(check: RoutineCheck, tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        async with open_node(tmp_path / "node", net) as node:
            await share(node, make_file(tmp_path / "file", 100_000))
            (routine,) = plugin_of(node, "warehouse", Warehouse).peerkit_register_routines()
            await check(RoutineBed(routine, SimPlatform(net.hosts[0]), node.data_dir))

    run(main())


@pytest.mark.parametrize("check", BLOB_STORE_CHECKS, ids=lambda check: check.__name__)
def test_the_store_passes_the_check(check: BlobStoreCheck, tmp_path: Path) -> None:
    async def main() -> None:
        files = [make_file(tmp_path / f"file-{size}", size) for size in (1, 200_000)]
        async with open_node(tmp_path / "node", SimNetwork()) as node:
            shared = [(await share(node, file))[0].content_id for file in files]
            contents = {name: file.read_bytes() for name, file in zip(shared, files, strict=True)}

            def spoil(content_id: str) -> None:
                files[shared.index(content_id)].write_bytes(b"?")

            await check(BlobStoreBed(provided_by(node, BLOB_STORE), contents, str(CONTENT), spoil))

    run(main())
