"""A real `miniupnpd` on a router of the laboratory: PCP, NAT-PMP and UPnP IGD."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address
from pathlib import Path

from tests.natlab.laboratory import Router
from tests.natlab.rules import LAN, WAN
from tests.netns.space import run

DAEMON = "miniupnpd"
_PROTOCOLS = {6: "tcp", 17: "udp"}
_TABLE = f"""
table inet {DAEMON} {{
    chain forward {{ type filter hook forward priority 10; jump mapped; }}
    chain prerouting {{ type nat hook prerouting priority dstnat; jump mapped_in; }}
    chain postrouting {{ type nat hook postrouting priority srcnat + 5; jump mapped_out; }}
    chain mapped {{ }}
    chain mapped_in {{ }}
    chain mapped_out {{ }}
}}
"""
_SETTINGS = f"""
ext_ifname={WAN}
ext_ifname6={WAN}
listening_ip={LAN}
enable_upnp={{upnp}}
enable_natpmp={{pcp}}
min_lifetime=4
max_lifetime=86400
secure_mode=yes
ipv6_disable={{ipv6_disable}}
upnp_table_name={DAEMON}
upnp_nat_table_name={DAEMON}
upnp_forward_chain=mapped
upnp_nat_chain=mapped_in
upnp_nat_postrouting_chain=mapped_out
uuid=00000000-0000-0000-0000-000000000001
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


class GatewayDaemon:
    """Args:
    folder: for its settings.
    """

    def __init__(self, router: Router, folder: Path) -> None:
        self._router = router
        self._settings = folder / "miniupnpd.conf"
        self._pid = folder / "miniupnpd.pid"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, upnp: bool = True, pcp: bool = True, ipv6: bool = False) -> None:
        """With nothing of what it knew before."""
        words = {True: "yes", False: "no"}
        self._settings.write_text(_SETTINGS.format(upnp=words[upnp], pcp=words[pcp], ipv6_disable=words[not ipv6]))
        self._router.space.nft(f"table inet {DAEMON}\ndelete table inet {DAEMON}\n{_TABLE}")
        command = self._router.space.command(DAEMON, "-d", "-f", str(self._settings), "-P", str(self._pid))
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        """As a power failure does: it removes nothing itself."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None
            self._pid.unlink(missing_ok=True)

    def mapped(self) -> set[tuple[str, int, str]]:
        """(protocol, external port, target) of what the router forwards, as nft tells."""
        text = run(*self._router.space.command("nft", "list", "chain", "inet", DAEMON, "mapped_in"))
        # nft has no word for how the daemon matches the protocol: byte 9 of the header
        found = re.findall(r"@nh,72,8 0x(\w+) th dport (\d+) .*?dnat ip to ([\d.:]+)", text)
        return {(_PROTOCOLS[int(number, 16)], int(port), target) for number, port, target in found}

    def pinholes(self) -> set[tuple[str, int, str]]:
        """(protocol, port, target) of what the router lets in over IPv6, as nft tells."""
        text = run(*self._router.space.command("nft", "list", "chain", "inet", DAEMON, "mapped"))
        # bits 192 to 319 of an IPv6 header are its destination, 48 to 55 the protocol
        found = re.findall(r"th dport (\d+) @nh,192,128 0x([0-9a-f]{32}) @nh,48,8 0x(\w+) accept", text)
        return {(_PROTOCOLS[int(n, 16)], int(port), str(IPv6Address(int(ip, 16)))) for port, ip, n in found}


@contextmanager
def gateway_daemon(router: Router, folder: Path) -> Iterator[GatewayDaemon]:
    """Started by the test; stopped in the end."""
    daemon = GatewayDaemon(router, folder)
    try:
        yield daemon
    finally:
        daemon.stop()
