"""One node: its profile resolved, its plugins built and wired, its sockets open, its peers at hand.

    async with Node.open(profile="local", protocols=[spec]) as node:
        peer = await node.connect("tcp://192.0.2.1:4433")

A node keeps nothing outside itself: many run in one process.  Embedded like this it installs no signal handler, no
logging configuration and no event loop; the `peerkit` command does.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from . import capabilities
from ._config.profile import DEFAULT_PROFILE, Resolved, resolve
from ._control.kernel_operations import KernelOperations
from ._control.local_call import call_operation
from ._control.registry import OperationRegistry
from ._control.server import ControlServer
from ._host.plan import AnySpec
from ._host.plugin_host import PluginHost
from ._host.registry import Extra, Registered
from ._host.run_time_control import RunTimeControl
from ._io.data_dir import DataDir
from ._io.identity_file import load_or_create
from ._io.system_platform import SystemPlatform
from ._pool.address_book import AddressBook
from ._pool.backoff import Backoff
from ._pool.slots import SlotLimits
from ._runtime.contained import ContainedSecurity, ContainedWrapper
from ._runtime.dialing import DialPlan
from ._runtime.endpoints import Endpoints
from ._runtime.event_bus import EventBus
from ._runtime.listeners import Listeners
from ._runtime.logging_setup import node_logger
from ._runtime.own_record import OwnRecord
from ._runtime.peer_store import PeerStore
from ._runtime.pool import RuntimePool
from ._runtime.registrations import Registrations
from ._runtime.routines import RoutineScheduler
from ._runtime.services import Services
from ._runtime.session_context import SessionContext
from ._runtime.supervisor import Supervisor
from ._runtime.trust_gate import TrustGate
from ._runtime.upkeep import Upkeep, UpkeepSettings
from ._runtime.whereabouts import Whereabouts
from ._session import hello
from ._session.hello import Terms
from .address import Address, parse_target
from .capabilities import Capability
from .client.conversation import as_json as as_argument
from .clock import Clock
from .event import AddressesChanged, IdentityCollision, NodeStarted, NodeStopping
from .identity import Identity, PeerId
from .limits import TokenBucket
from .platform import Platform
from .protocol import ProtocolSpec
from .record import PeerRecord, network_id
from .routine import Routine
from .session import DialTarget, Peer

if TYPE_CHECKING:
    from ._control.node_view import NodeView
    from ._control.wire import Json, Progress

T = TypeVar("T")

PEER_SAVE_S = 60.0  # the address book is written so often; a crash loses at most this


class Node:
    """A running node.  Make one with `Node.open`; it stops at the end of the `async with` block."""

    def __init__(
        self, config: Resolved, host: PluginHost, services: Services, pool: RuntimePool, own: OwnRecord
    ) -> None:
        platform = services.platform
        self._services = services
        self._own = own
        self._pool = pool
        self.config = config
        self.host = host
        self.events = services.events
        self.gate = services.gate
        self.endpoints = Endpoints(platform.network)
        self.operations = OperationRegistry(services.supervisor.tallies.of)
        self.routines = RoutineScheduler(services.supervisor, platform.clock, platform.rng)
        self.started_at = platform.clock.now()
        self.control: RunTimeControl
        self._told_addresses: tuple[Address, ...] = ()

    def __repr__(self) -> str:
        return f"<Node {self.peer_id.short}>"

    @property
    def peer_id(self) -> PeerId:
        return self._services.identity.peer_id

    @property
    def supervisor(self) -> Supervisor:
        return self._services.supervisor

    @property
    def data_dir(self) -> Path:
        return self._services.data_dir

    @property
    def network(self) -> str:
        """The name of the network."""
        return self.config.node.network

    @property
    def clock(self) -> Clock:
        return self._services.platform.clock

    @property
    def pool(self) -> RuntimePool:
        return self._pool

    @property
    def record(self) -> PeerRecord:
        """Our own current, signed peer record."""
        return self._own()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where this node can be reached, each with its peer id: what to give to somebody who wants to connect."""
        return tuple(address.with_peer(self.peer_id) for address in self._own.addresses)

    def peers(self) -> tuple[Peer, ...]:
        """The members of the pool, oldest first."""
        return self._pool.peers()

    async def connect(self, target: str | DialTarget, timeout_s: float = 10.0) -> Peer:
        """Make `target` (an address or peer id may be text) a member of the pool.  Raises as
        `peerkit.session.Pool.connect` does, and `UsageError` for text that is neither."""
        return await self._pool.connect(parse_target(target) if isinstance(target, str) else target, timeout_s)

    async def call(
        self,
        op: str,
        /,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_item: Callable[[Json], None] | None = None,
        **args: object,
    ) -> Json:
        """Run an operation of the node, as `peerkit.client` does from another program, and return its answer as JSON.

        Args:
            op: its name, `share`, `peers.block`; `await node.call("operations")` lists them.
            on_progress: called as the operation tells how far it is.
            on_item: called for each part of the answer that it tells before the end.
            args: as JSON values; `Path`s are made absolute in the current directory.

        Raises:
            PeerkitError: what the operation raises; `UsageError` for an unknown name or wrong arguments.
        """
        made = {name: as_argument(value) for name, value in args.items()}
        return await call_operation(self.operations, op, made, on_progress, on_item)

    def require(self, capability: Capability[T]) -> T:
        """What a plugin, or the kernel, provides (`peerkit.capabilities`): `node.require(BLOB_STORE)`; of several the
        first by plugin name.  Raises `Unavailable` when no enabled plugin does."""
        return self.host.require(capability)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        profile: str | Path | Mapping[str, object] = DEFAULT_PROFILE,
        *,
        data_dir: Path | None = None,
        protocols: Sequence[ProtocolSpec] = (),
        plugins: Mapping[str, AnySpec] | None = None,
        settings: Mapping[str, object] | None = None,
        config: Resolved | None = None,
        platform: Platform | None = None,
        passphrase: bytes | None = None,
        control: bool = False,
    ) -> AsyncIterator[Node]:
        """Start a node, and stop it in the end.

        Args:
            profile: a preset's name, a TOML file, or a table such as `{"node": {"extends": "local", "listen": []}}`.
            data_dir: where it keeps its identity and data; without one (here or in the profile) the node is a new one
                each time and leaves nothing behind.
            protocols: the application's own.
            plugins: specs that no installed distribution offers, by name; they are enabled.
            settings: the top layer over the profile, a table like it.
            config: an already resolved profile, in place of `profile` and `settings`.
            platform: another wire, clock and disk; the simulation's in tests.
            passphrase: opens (or locks, when new) the identity file.
            control: serve the control socket for the command line and `peerkit.client`.

        Raises:
            ConfigError, PluginLoadError, PluginConflictError: everything that is wrong with the profile or plugins.
            StorageError: the data directory or identity cannot be used.
        """
        resolved = config or resolve(profile, overrides=settings)
        host = PluginHost(resolved, plugins)
        async with AsyncExitStack() as stack:
            platform = platform or SystemPlatform()
            stack.push_async_callback(platform.close)
            where = data_dir or resolved.node.data_dir
            if where is None:
                path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="peerkit-")))
                identity = Identity(platform.rng.randbytes(32))
            else:
                path = stack.enter_context(DataDir(where)).path
                rng = platform.rng
                identity = await platform.run_blocking(lambda: load_or_create(path / "identity", rng, passphrase))
            yield await cls._start(stack, resolved, host, platform, path, identity, protocols, control)

    @classmethod
    async def _start(
        cls,
        stack: AsyncExitStack,
        resolved: Resolved,
        host: PluginHost,
        platform: Platform,
        data_dir: Path,
        identity: Identity,
        protocols: Sequence[ProtocolSpec],
        control: bool,
    ) -> Node:
        """Build the parts in order; what must be undone is pushed on `stack` as soon as it is done."""
        setup = resolved.node
        log = node_logger(identity.peer_id, setup.log_level)
        events = EventBus(platform.clock)
        stack.callback(events.close)
        gate = TrustGate(platform.clock, events, setup.trust_default == "allow")
        supervisor = Supervisor(platform.clock, platform.rng, events, log)
        stack.push_async_callback(supervisor.stop)
        network = network_id(setup.network)
        own = OwnRecord(identity, network, platform)
        book = AddressBook(own, lambda record: events.emit(IdentityCollision(record.sequence)))
        slots = setup.slots
        limits = SlotLimits(
            slots.member_in, slots.member_out, slots.transient_in, slots.transient_out, slots.handshaking
        )
        pool = RuntimePool(limits, book, events)
        services = Services(identity, network, platform, data_dir, events, gate, supervisor, pool, log)
        node = cls(resolved, host, services, pool, own)
        kernel = {
            capabilities.DIALER.name: pool,
            capabilities.ADDRESS_BOOK.name: book,
            capabilities.DATAGRAM_ENDPOINTS.name: node.endpoints,
            capabilities.OWN_ADDRESSES.name: own,
            capabilities.SESSION_CONTROL.name: pool,
        }
        stack.callback(node.endpoints.close)
        registered = host.load(services, kernel, [Extra("application", protocols=protocols)])
        stack.push_async_callback(host.close)
        gate.bind([(supervisor.tallies.of(owner), policy) for owner, policy in registered.policies])
        KernelOperations(node).register()
        for owner, operation in registered.operations:
            node.operations.add(owner, operation)
        await node._go_online(stack, registered, book, control)
        return node

    async def _go_online(self, stack: AsyncExitStack, registered: Registered, book: AddressBook, control: bool) -> None:
        services, setup, pool = self._services, self.config.node, self._pool
        platform, supervisor = services.platform, services.supervisor
        assert registered.security is not None, "the host has checked"
        context = self._session_context(registered)
        self._own.bind(context.security, {spec.id: spec.version for spec in registered.protocols.values()})
        streams, datagrams = registered.transports, registered.datagram_transports
        circuits, backoff = registered.circuit_transports, Backoff(platform.rng)
        plan = DialPlan(context, platform, streams, datagrams, circuits, self.endpoints, backoff)
        pool.bind(context, plan, Whereabouts(book, partial(self.host.providers, capabilities.PEER_ROUTING)))
        listeners = Listeners(context, streams, datagrams, self.endpoints)
        store = await PeerStore.open(platform, services.data_dir)
        self._own.sequence = await store.load(book)
        await self.host.start()
        await listeners.listen([Address.parse(text) for text in setup.listen])
        self._own.listen_on(listeners.addresses)
        self._own.on_change = self._record_changed
        self._told_addresses = self.addresses

        async def save() -> None:
            await store.save(book, self._own.sequence)

        self.routines.add("kernel", Routine("kernel.save_peers", save, PEER_SAVE_S))
        for owner, routine in registered.routines:
            self.routines.add(owner, routine)
        stack.push_async_callback(self._go_offline, listeners, set(registered.transport_owners.values()), save)
        if control:
            server = ControlServer(
                self.operations, str(self.peer_id), services.data_dir, platform.run_blocking, services.log
            )
            await server.start()
            stack.push_async_callback(server.close)
        upkeep = Upkeep(
            pool,
            services.events,
            UpkeepSettings(setup.ping_after_s, setup.transient_idle_s, member_out=setup.slots.member_out),
            [Address.parse(text) for text in setup.bootstrap],
            registered.discoveries,
        )
        registrations = Registrations(
            registered, supervisor, self.gate, self.routines, self.operations, pool, self._own, upkeep
        )
        self.control = RunTimeControl(self.host, registrations)
        self.host.start_runs()
        supervisor.keep("kernel", "upkeep", upkeep.run)
        self.routines.start_all()
        services.events.emit(NodeStarted(self.peer_id, tuple(str(a) for a in self.addresses)))

    def _session_context(self, registered: Registered) -> SessionContext:
        services, setup = self._services, self.config.node
        assert registered.security is not None
        tally = services.supervisor.tallies.of
        wrappers = [ContainedWrapper(tally(registered.wrapper_owners[w.name]), w) for w in registered.wrappers]
        terms = Terms(setup.aeads, dict(registered.protocols), tuple(w.name for w in wrappers))
        hello.check_room(terms)
        return SessionContext(
            self.peer_id,
            services.network_id,
            asyncio.get_running_loop(),
            services.platform.clock,
            services.platform.rng,
            services.log,
            services.gate,
            services.supervisor,
            ContainedSecurity(tally(registered.security_owner), registered.security),
            wrappers,
            terms,
            registered.protocols,
            registered.protocol_owners,
            setup.handshake_timeout_s,
            _bucket(setup.upload_limit),
            _bucket(setup.download_limit),
            self._pool,
            setup.key_life_s,
            registered.transport_owners,
        )

    def _record_changed(self) -> None:
        """Tell our peers, and who listens if the addresses are others."""
        if self.addresses != self._told_addresses:
            self._told_addresses = self.addresses
            self.events.emit(AddressesChanged(tuple(str(a) for a in self.addresses)))
        for session in self._pool.sessions():
            session.send_own_record()

    async def _go_offline(self, listeners: Listeners, transports: Collection[str], save: object) -> None:
        """Accept nothing more, let plugins say goodbye, then end every session, let the transports send what that said,
        and keep what we know."""
        self.events.emit(NodeStopping("the node stops"))
        self.routines.stop_all()
        await listeners.close()
        await self.host.close(but=transports)
        await self._pool.close("the node stops")
        await self.host.close()
        assert callable(save)
        await save()


def _bucket(bytes_per_s: float | None) -> TokenBucket | None:
    """A quarter of a second may come at once, at least two records."""
    return TokenBucket(bytes_per_s, max(bytes_per_s / 4, 262_144)) if bytes_per_s else None


if TYPE_CHECKING:

    def _fits(node: Node) -> NodeView:
        return node
