"""Mappings by PCP."""

from typing import TYPE_CHECKING

from peerkit.address import Address
from peerkit.clock import Clock, Rng
from peerkit.errors import RemoteProtocolError
from peerkit.link import Gateway
from peerkit.network import Network

from .. import pcp
from ..epoch import Epoch, Rule
from ..mapping import Granted, Mapper, MappingFailed, Wanted
from .datagram_exchange import DatagramExchange


class PcpMapper:
    """See `Mapper`.  A mapping belongs to its nonce, which nobody else on the LAN knows (RFC 6887 §18.3)."""

    name = "pcp"

    def __init__(self, network: Network, gateway: Gateway, clock: Clock, rng: Rng) -> None:
        self._gateway = gateway
        self._clock = clock
        self._rng = rng
        router = Address("udp", gateway.host, pcp.PORT)
        self._exchange = DatagramExchange(network, gateway.local, router, _parse)
        self._epoch = Epoch(Rule.PCP)
        self._anyone = "::" if ":" in gateway.local else "0.0.0.0"

    async def probe(self) -> None:
        await self._announce()

    async def map(self, wanted: Wanted, before: Granted | None, lease_s: int) -> Granted:
        nonce = bytes.fromhex(before.handle) if before else self._rng.randbytes(pcp.NONCE_BYTES)
        host, port = (before.host, before.port) if before else (self._anyone, wanted.internal.port)
        answer = await self._ask_map(wanted, nonce, host, port, lease_s)
        return Granted(answer.external_host, answer.external_port, answer.lifetime_s, nonce.hex())

    async def unmap(self, wanted: Wanted, granted: Granted) -> None:
        await self._ask_map(wanted, bytes.fromhex(granted.handle), self._anyone, 0, 0)

    async def is_kept(self, wanted: Wanted, granted: Granted) -> bool:
        answer = await self._announce()
        return self._epoch.seen(answer.epoch_s, self._clock.now())

    def close(self) -> None:
        self._exchange.close()

    async def _announce(self) -> pcp.Answer:
        question = pcp.announce_request(self._gateway.local)
        answer = await self._exchange.ask(question, lambda answer: answer.opcode == pcp.ANNOUNCE)
        _check(answer)
        return answer

    async def _ask_map(self, wanted: Wanted, nonce: bytes, host: str, port: int, lease_s: int) -> pcp.MapAnswer:
        def fits(answer: pcp.Answer) -> bool:
            if not isinstance(answer, pcp.MapAnswer):
                return answer.opcode == pcp.MAP  # an error
            asked = (nonce, wanted.protocol, wanted.internal.port)
            return (answer.nonce, answer.protocol, answer.internal_port) == asked

        answer = await self._exchange.ask(pcp.map_request(wanted, nonce, host, port, lease_s), fits)
        _check(answer)
        assert isinstance(answer, pcp.MapAnswer), "the parser refuses a success without its mapping"
        if lease_s and (not answer.external_port or not answer.lifetime_s):
            raise MappingFailed("the router granted nothing")
        return answer


def _parse(data: bytes) -> pcp.Answer:
    if pcp.is_older_version(data):
        return pcp.Answer(pcp.ANNOUNCE, 1, 0, 0)
    answer = pcp.parse(data)
    if answer.opcode not in (pcp.ANNOUNCE, pcp.MAP):
        raise RemoteProtocolError("an answer to what was not asked")
    return answer


def _check(answer: pcp.Answer) -> None:
    if answer.result:
        raise MappingFailed(f"the router refuses: {pcp.RESULTS.get(answer.result, f'result {answer.result}')}")


if TYPE_CHECKING:
    _fits: type[Mapper] = PcpMapper
