"""Mappings by NAT-PMP."""

from typing import TYPE_CHECKING

from peerkit.address import Address
from peerkit.clock import Clock
from peerkit.link import Gateway
from peerkit.network import Network

from .. import nat_pmp
from ..epoch import Epoch, Rule
from ..mapping import Granted, Mapper, MappingFailed, Wanted
from .datagram_exchange import DatagramExchange


class NatPmpMapper:
    """See `Mapper`.  IPv4 only."""

    name = "nat_pmp"

    def __init__(self, network: Network, gateway: Gateway, clock: Clock) -> None:
        self._clock = clock
        router = Address("udp", gateway.host, nat_pmp.PORT)
        self._exchange = DatagramExchange(network, gateway.local, router, nat_pmp.parse)
        self._epoch = Epoch(Rule.NAT_PMP)

    async def probe(self) -> None:
        await self._ask_address()

    async def map(self, wanted: Wanted, before: Granted | None, lease_s: int) -> Granted:
        host = (await self._ask_address()).host  # it may have changed since
        answer = await self._ask_map(wanted, before.port if before else wanted.internal.port, lease_s)
        if not answer.external_port or not answer.lifetime_s:
            raise MappingFailed("the router granted nothing")
        return Granted(host, answer.external_port, answer.lifetime_s)

    async def unmap(self, wanted: Wanted, granted: Granted) -> None:
        await self._ask_map(wanted, 0, 0)

    async def is_kept(self, wanted: Wanted, granted: Granted) -> bool:
        answer = await self._ask_address()
        return self._epoch.seen(answer.epoch_s, self._clock.now()) and answer.host == granted.host

    def close(self) -> None:
        self._exchange.close()

    async def _ask_address(self) -> nat_pmp.AddressAnswer:
        answer = await self._exchange.ask(
            nat_pmp.ADDRESS_REQUEST, lambda answer: isinstance(answer, nat_pmp.AddressAnswer)
        )
        assert isinstance(answer, nat_pmp.AddressAnswer)
        _check(answer.result)
        return answer

    async def _ask_map(self, wanted: Wanted, port: int, lease_s: int) -> nat_pmp.MapAnswer:
        def fits(answer: nat_pmp.AddressAnswer | nat_pmp.MapAnswer) -> bool:
            if not isinstance(answer, nat_pmp.MapAnswer) or answer.protocol != wanted.protocol:
                return False
            return bool(answer.result) or answer.internal_port == wanted.internal.port

        answer = await self._exchange.ask(nat_pmp.map_request(wanted, port, lease_s), fits)
        assert isinstance(answer, nat_pmp.MapAnswer)
        _check(answer.result)
        return answer


def _check(result: int) -> None:
    if result:
        raise MappingFailed(f"the router refuses: {nat_pmp.RESULTS.get(result, f'result {result}')}")


if TYPE_CHECKING:
    _fits: type[Mapper] = NatPmpMapper
