"""Web pages that tell our IPv4, good and bad: real HTTP servers on loopback."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import pytest
from peerkit_public_address.io.url_asking import UrlAsking
from peerkit_public_address.settings import PublicAddressSettings
from peerkit_public_address.url_answers import Mode, UrlVerdict

from peerkit._io.system_platform import SystemPlatform
from peerkit.testing import FakePluginContext

Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]
OURS, LIE = "20.9.0.1", "66.6.6.6"
SHORT_S, LONG_S = 2.0, 20.0  # for pages that never end; for others, since the machine may be busy
PATIENCE_S = 30.0

pytestmark = pytest.mark.integration


def says(body: str, status: str = "200 OK", headers: str = "") -> Handler:
    async def handler(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
        writer.write((head + body).encode())
        await writer.drain()

    return handler


async def hangs(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def drips(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, so that no pause is long."""
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def floods(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


async def breaks_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n20.9")


async def speaks_something_else(writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")


class Pages:
    """Attributes:
    asked: how often each page was.
    """

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.asked: list[int] = []

    async def serve(self, handler: Handler) -> str:
        """The page's URL."""
        number = len(self.asked)
        self.asked.append(0)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.asked[number] += 1
            try:
                await reader.readuntil(b"\r\n\r\n")
                await handler(writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._stack.callback(server.close)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ip"


async def answered(settings: PublicAddressSettings) -> UrlVerdict:
    platform = SystemPlatform()
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await UrlAsking(FakePluginContext(settings, platform)).ask()
    finally:
        await platform.close()


def ask(mode: Mode, handlers: Sequence[Handler], quorum: int = 0) -> tuple[UrlVerdict, list[int]]:
    async def main() -> tuple[UrlVerdict, list[int]]:
        async with AsyncExitStack() as stack:
            pages = Pages(stack)
            urls = tuple([await pages.serve(handler) for handler in handlers])
            timeout_s = SHORT_S if {hangs, drips} & set(handlers) else LONG_S
            settings = PublicAddressSettings(
                ipv4_by_url=mode, ipv4_urls=urls, ipv4_quorum=quorum, ipv4_url_timeout_s=timeout_s
            )
            return await answered(settings), pages.asked

    return asyncio.run(main())


def test_one_page_is_taken_at_its_word() -> None:
    verdict, asked = ask("one", [says(f"{OURS}\n"), says(LIE)])
    assert verdict.host == OURS
    assert asked == [1, 0]


BAD: Sequence[tuple[Handler, str]] = [
    (hangs, "longer than 2 s"),
    (drips, "longer than"),
    (floods, "longer than 64 bytes"),
    (breaks_off, "cannot be asked"),
    (speaks_something_else, "cannot be asked"),
    (says(LIE, "302 Found", "Location: http://127.0.0.1:1/\r\n"), "status 302"),
    (says("", "503 Service Unavailable"), "status 503"),
    (says(""), "no IPv4"),
    (says("<html>20.9.0.1</html>"), "no IPv4"),
    (says("2a00::9"), "no IPv4"),
    (says("192.168.1.1"), "no public address"),
    (says("127.0.0.1"), "no public address"),
]


@pytest.mark.parametrize(("handler", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_bad_page_gives_no_address_and_says_why(handler: Handler, reason: str) -> None:
    verdict, _ = ask("one", [handler])
    assert verdict.host == ""
    assert reason in verdict.answers[0].reason


def test_failover_goes_on_until_a_page_answers() -> None:
    verdict, asked = ask("failover", [says("", "500 Oh"), says("no"), says(OURS), says(LIE)])
    assert verdict.host == OURS
    assert asked == [1, 1, 1, 0]


def test_consensus_survives_dead_slow_lying_and_endless_pages() -> None:
    good = says(OURS)
    verdict, asked = ask("consensus", [good, hangs, says(LIE), good, floods, good, good], quorum=4)
    assert verdict.host == OURS
    assert asked == [1] * 7


def test_consensus_needs_its_quorum() -> None:
    good = says(OURS)
    verdict, _ = ask("consensus", [good, good, says(LIE), says(LIE), hangs])
    assert verdict.host == ""
    assert verdict.reason == "only 2 of 3 pages agree"


def test_a_dead_page_is_one_that_is_not_there() -> None:
    async def main() -> UrlVerdict:
        settings = PublicAddressSettings(ipv4_by_url="one", ipv4_urls=("http://127.0.0.1:1/",))
        return await answered(settings)

    verdict = asyncio.run(main())
    assert "cannot be asked" in verdict.answers[0].reason
