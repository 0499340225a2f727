"""The kernel's checks for stream transports, on real sockets and on the simulated network, plain and over TLS."""

from pathlib import Path

import pytest

from peerkit.testing.transport_checks import STREAM_TRANSPORT_CHECKS, StreamTransportCheck
from plugins.transport_tcp.tests.beds import on_real_sockets, on_the_simulated_network

EVERY_CHECK = pytest.mark.parametrize("check", STREAM_TRANSPORT_CHECKS, ids=lambda check: check.__name__)
PLAIN_OR_TLS = pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])


@pytest.mark.integration
@EVERY_CHECK
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0", "tls://127.0.0.1:0", "tcp://[::1]:0"])
def test_on_real_sockets(check: StreamTransportCheck, address: str, tmp_path: Path) -> None:
    on_real_sockets(check, tmp_path, address)


@EVERY_CHECK
@PLAIN_OR_TLS
def test_on_the_simulated_network(check: StreamTransportCheck, tls: bool, tmp_path: Path) -> None:
    on_the_simulated_network(check, tmp_path, tls)
