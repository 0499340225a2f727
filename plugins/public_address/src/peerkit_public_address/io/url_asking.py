"""Fetches the pages.  httpx is imported when the first one is asked: it costs memory that most nodes do not need."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from peerkit.plugin import PluginContext

from ..settings import PublicAddressSettings
from ..url_answers import MAX_BODY_BYTES, UrlAnswer, UrlVerdict, agreed, read_answer

if TYPE_CHECKING:
    import httpx


class UrlAsking:
    """Asks in the mode of the settings."""

    def __init__(self, ctx: PluginContext[PublicAddressSettings]) -> None:
        self._ctx = ctx

    async def ask(self) -> UrlVerdict:
        settings = self._ctx.settings
        async with await self._ctx.run_blocking(_client) as client:
            match settings.ipv4_by_url:
                case "consensus":
                    async with asyncio.TaskGroup() as group:
                        asking = [group.create_task(self._answer(client, url)) for url in settings.ipv4_urls]
                    return agreed([task.result() for task in asking], settings.url_quorum)
                case "failover":
                    urls = settings.ipv4_urls
                case _:
                    urls = settings.ipv4_urls[:1]
            answers: list[UrlAnswer] = []
            for url in urls:
                answers.append(await self._answer(client, url))
                if answers[-1].host:
                    break
            return agreed(answers, 1)

    async def _answer(self, client: httpx.AsyncClient, url: str) -> UrlAnswer:
        """One page; whatever it does, this takes no longer than its deadline and no more memory than an address."""
        import httpx

        timeout_s = self._ctx.settings.ipv4_url_timeout_s
        try:
            async with asyncio.timeout(timeout_s), client.stream("GET", url) as response:
                body = b""
                async for chunk in response.aiter_raw(MAX_BODY_BYTES + 1):
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        break
                return read_answer(url, response.status_code, body)
        except TimeoutError:
            return UrlAnswer(url, reason=f"it took longer than {timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            return UrlAnswer(url, reason=f"it cannot be asked: {str(exc) or type(exc).__name__}")


def _client() -> httpx.AsyncClient:
    """On a disk thread: certificates are read here.  No redirects, which lead where the owner did not point; no proxy,
    which would tell its own address; from an IPv4 socket."""
    import httpx

    transport = httpx.AsyncHTTPTransport(local_address="0.0.0.0", limits=httpx.Limits(max_connections=16))
    headers = {"accept": "text/plain", "accept-encoding": "identity", "user-agent": "peerkit"}
    return httpx.AsyncClient(
        transport=transport, timeout=None, follow_redirects=False, trust_env=False, headers=headers
    )
