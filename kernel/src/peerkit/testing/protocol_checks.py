"""What every protocol must do (`peerkit.protocol`), whatever a stranger sends.  Under virtual time.

    @pytest.mark.parametrize("check", PROTOCOL_CHECKS, ids=lambda check: check.__name__)
    async def test_it_does_what_every_protocol_must(net, check):
        await check(ProtocolBed(net, PROFILE, "greeter", requests=[codec.encode_greeting("world")]))

Each check starts a node that runs the plugin, and strangers who speak its protocol without it: they send what they
like, and answer what they like.  A check returns, or raises `AssertionError` with the promise that was broken.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import cycle

from .._host.plan import AnySpec
from ..errors import DeadlineExceeded, NotFound, PeerkitError
from ..event import PluginFailed
from ..node import Node
from ..protocol import ProtocolSpec, Request
from ..session import Peer, RemoteFailure, Stream
from .hostile_bytes import hostile_bytes
from .plugin_watch import Check, complete, failures
from .sim_network import SimNetwork

PORT = 4_433
ANSWER_S = 120.0  # virtual; longer than the deadline of every handler of ours
STREAM_S = 10.0  # how long a stranger waits for what a stream's handler says
OURS = ("plugin", "local_protocol", "error")  # codes that tell of a fault of the plugin, not of the peer
REMOTE_CUT = 200  # of the longest that a stranger answers


@dataclass(frozen=True, slots=True)
class ProtocolBed:
    """Attributes:
    net: between the nodes.
    profile: of a node that speaks the protocol, as for `Node.open`; `listen` is set by the check.
    protocol: the protocol's id.
    requests: valid bodies, which are answered without an error.
    refused: well-formed ones that get an error.
    messages, datagrams: valid bodies.
    streams: what a peer may say first on a stream.
    plugins, protocols: as for `Node.open`.
    """

    net: SimNetwork
    profile: Mapping[str, object]
    protocol: str
    requests: Sequence[bytes] = ()
    refused: Sequence[bytes] = ()
    messages: Sequence[bytes] = ()
    streams: Sequence[bytes] = ()
    datagrams: Sequence[bytes] = ()
    plugins: Mapping[str, AnySpec] | None = None
    protocols: Sequence[ProtocolSpec] = ()


ProtocolCheck = Check[ProtocolBed]


class _Scene:
    """The node under test, and strangers."""

    def __init__(self, bed: ProtocolBed, stack: AsyncExitStack) -> None:
        self._bed = bed
        self._stack = stack
        self._failed: list[str] = []
        self.node: Node
        self.spec: ProtocolSpec
        self._plain: Mapping[str, object]
        self._given: Mapping[str, AnySpec]

    async def start(self) -> None:
        bed = self._bed
        self._failed = self._stack.enter_context(failures())
        self.node = await self._open(bed.profile, protocols=bed.protocols, plugins=bed.plugins)
        context = self.node.pool.context
        spec = context.specs.get(bed.protocol)
        assert spec is not None, f"the node speaks no {bed.protocol}; it speaks {', '.join(sorted(context.specs))}"
        self.spec = spec
        self.owner = context.owners[bed.protocol]
        carriers = [
            built.name
            for built in self.node.host._built
            if built.name != self.owner
            and (hasattr(built.obj, "peerkit_register_wrappers") or hasattr(built.obj, "peerkit_register_transports"))
        ]
        given = bed.plugins or {}
        self._given = {name: spec for name, spec in given.items() if name in carriers}
        enable = [name for name in carriers if name not in given]
        settings = _table(bed.profile, "plugins")
        node = {"network": self.node.network, "enable": enable, "wrappers": self.node.config.node.wrappers}
        self._plain = {"node": node, "plugins": {name: settings[name] for name in carriers if name in settings}}

    async def stranger(self, **changes: object) -> Node:
        """A node that only has what carries sessions, and the protocol as the test wants it."""
        offer = ProtocolSpec(
            self.spec.id, self.spec.version, ">=0", on_request=lambda _: b"", on_message=lambda _: None
        )
        protocols = [replace(offer, **changes)]  # type: ignore[arg-type]
        return await self._open(self._plain, protocols=protocols, plugins=self._given)

    async def peer(self, stranger: Node) -> Peer:
        """The node under test as a stranger's peer."""
        return await stranger.connect(self.node.addresses[0], 30.0)

    async def new_peer(self) -> Peer:
        return await self.peer(await self.stranger())

    async def open_peer(self, peer: Peer) -> Peer:
        """The same, or a new one when the node has closed the session, as it may with who breaks rules."""
        return peer if peer.session.is_open else await self.new_peer()

    async def is_well(self, what: str) -> None:
        """The plugin has raised nothing of its own, and serves on."""
        self.blame(what)
        peer = await self.new_peer()
        assert self.spec.id in peer.protocols, f"after {what} the node does not speak {self.spec.id} any more"
        for body in self._bed.requests:
            await _request(self, peer, body, f"after {what}, the valid request {_short(body)}", is_valid=True)
        self.blame(what)

    def blame(self, what: str) -> None:
        failed = [*self._failed]
        for each in self.node.events.recent():
            event = each.event
            if isinstance(event, PluginFailed) and event.plugin == self.owner:
                failed.append(f"{event.where}: {event.error}")
        assert not failed, (
            f"{what} made the plugin fail: {failed[0]}; to refuse, a handler raises a RemoteProtocolError"
        )

    async def _open(self, profile: Mapping[str, object], **options: object) -> Node:
        platform = self._bed.net.platform()
        settings = {"node": {"listen": [f"{scheme}://{platform.ip}:{PORT}" for scheme in self._schemes(profile)]}}
        opened = Node.open(profile, settings=settings, platform=platform, **options)  # type: ignore[arg-type]
        return await self._stack.enter_async_context(opened)

    def _schemes(self, profile: Mapping[str, object]) -> Sequence[str]:
        """Those that the profile listens on."""
        listen = _table(profile, "node").get("listen")
        return [str(text).partition("://")[0] for text in listen] if isinstance(listen, Sequence) else ["tcp"]


def _table(profile: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = profile.get(name)
    return found if isinstance(found, Mapping) else {}


@asynccontextmanager
async def _scene(bed: ProtocolBed) -> AsyncIterator[_Scene]:
    async with AsyncExitStack() as stack:
        scene = _Scene(bed, stack)
        await scene.start()
        yield scene


async def versions_are_agreed(bed: ProtocolBed) -> None:
    """Ours speaks with ours; who speaks a version that neither side accepts is a peer without the protocol."""
    async with _scene(bed) as scene:
        spec = scene.spec
        assert spec.takes(spec.version), f"{spec.id} {spec.version} does not accept its own version: {spec.accepts!r}"
        peer = await scene.new_peer()
        assert peer.protocols.get(spec.id) == spec.version, f"two nodes of {spec.id} {spec.version} do not agree on it"
        other = next((v for v in ("9999", "0.0.0.dev0") if not spec.takes(v)), None)
        for version, accepts in ((other, ">=0"), (spec.version, "==9999")):
            if version is None:
                continue
            stranger = await scene.stranger(version=version, accepts=accepts)
            try:
                peer = await scene.peer(stranger)
            except PeerkitError:
                assert spec.mandatory, f"{spec.id} is optional, and a peer without it was refused"
            else:
                assert spec.id not in peer.protocols, f"a peer of version {version} got {spec.id} {spec.version}"
        await scene.is_well("a peer of another version")


async def valid_requests_are_answered(bed: ProtocolBed) -> None:
    async with _scene(bed) as scene:
        await scene.is_well("nothing")


async def hostile_requests_are_answered_or_refused(bed: ProtocolBed) -> None:
    async with _scene(bed) as scene:
        spec = scene.spec
        peer = await scene.new_peer()
        shapes = (*bed.requests, *bed.refused)
        for body in (*bed.refused, *hostile_bytes(shapes, spec.max_request_bytes)):
            peer = await scene.open_peer(peer)
            await _request(scene, peer, body, f"a request of {_short(body)}")
        too_long = bytes(spec.max_request_bytes + 1)
        await _request(scene, peer, too_long, "a request that is too long")
        await scene.is_well("hostile requests")


async def hostile_messages_are_passed_over(bed: ProtocolBed) -> None:
    async with _scene(bed) as scene:
        peer = await scene.new_peer()
        for body in (*bed.messages, *hostile_bytes(bed.messages, scene.spec.max_request_bytes)):
            peer = await scene.open_peer(peer)
            await peer.send(scene.spec.id, body)
            await asyncio.sleep(0.5)
            scene.blame(f"a message of {_short(body)}")
        await scene.is_well("hostile messages")


async def hostile_datagrams_are_passed_over(bed: ProtocolBed) -> None:
    async with _scene(bed) as scene:
        peer = await scene.new_peer()
        for body in (*bed.datagrams, *hostile_bytes(bed.datagrams, peer.session.max_datagram_bytes)):
            peer = await scene.open_peer(peer)
            peer.session.send_datagram(scene.spec.id, body)
            await asyncio.sleep(0.5)
            scene.blame(f"a datagram of {_short(body)}")
        await scene.is_well("hostile datagrams")


async def hostile_streams_end(bed: ProtocolBed) -> None:
    """A stranger says what it likes and finishes; or resets, or vanishes, at any point."""
    async with _scene(bed) as scene:
        peer = await scene.new_peer()
        for data in (*bed.streams, *hostile_bytes(bed.streams)):
            peer = await scene.open_peer(peer)
            await _say(peer, scene.spec.id, data, _finish)
            scene.blame(f"a stream of {_short(data)}")
        for data in (b"", *bed.streams):
            for size in sorted({0, 1, len(data) // 2, len(data)}):
                peer = await scene.open_peer(peer)
                await _say(peer, scene.spec.id, data[:size], _reset)
                scene.blame(f"a stream that is reset after {size} bytes of {_short(data)}")
        for data in (b"", *bed.streams):
            peer = await scene.new_peer()
            await _say(peer, scene.spec.id, data, _leave)
            await asyncio.sleep(1)
            scene.blame(f"a peer that vanishes after {_short(data)} on a stream")
        await scene.is_well("hostile streams")


async def peers_that_answer_nonsense_are_survived(bed: ProtocolBed) -> None:
    """`on_peer` and whatever else the plugin asks: strangers answer garbage, fail, say nothing, and go."""
    async with _scene(bed) as scene:
        bodies = cycle(hostile_bytes((*bed.requests, *bed.refused), REMOTE_CUT))

        def nonsense(_request: Request) -> bytes:
            return next(bodies)

        def failing(_request: Request) -> bytes:
            raise NotFound("no idea")

        async def silent(_request: Request) -> bytes:
            await asyncio.sleep(ANSWER_S)
            return b""

        async def babble(stream: Stream) -> None:
            await stream.write(next(bodies))

        async def hang_up(stream: Stream) -> None:
            stream.reset()

        async def wait(_stream: Stream) -> None:
            await asyncio.sleep(ANSWER_S)

        for on_request, on_stream in ((nonsense, babble), (failing, hang_up), (silent, wait)) * 2:
            peer = await scene.peer(await scene.stranger(on_request=on_request, on_stream=on_stream))
            await asyncio.sleep(3)
            scene.blame("a peer that answers nonsense")
            await peer.close()
        await scene.is_well("peers that answer nonsense")


async def handlers_end_with_their_session(bed: ProtocolBed) -> None:
    """Peers come, begin all that can be begun, and vanish: no task of the plugin stays for them."""
    async with _scene(bed) as scene:
        await asyncio.sleep(10)
        before = _tasks(scene)
        for _ in range(3):
            peer = await scene.new_peer()
            calls = [
                asyncio.ensure_future(_quietly(peer.request(scene.spec.id, body)))
                for body in (*bed.requests, *bed.refused)
            ]
            for data in bed.streams:
                stream = await peer.open_stream(scene.spec.id)
                await stream.write(data)
            await asyncio.sleep(0.2)
            await peer.close()
            await asyncio.gather(*calls)
        await asyncio.sleep(ANSWER_S)
        after = _tasks(scene)
        assert after <= before, f"{after - before} tasks of the plugin go on for peers that have gone"
        await scene.is_well("peers that vanish")


def _tasks(scene: _Scene) -> int:
    return scene.node._services.supervisor.counts().get(scene.owner, 0)


async def _request(scene: _Scene, peer: Peer, body: bytes, what: str, is_valid: bool = False) -> None:
    try:
        await peer.request(scene.spec.id, body, ANSWER_S)
        return
    except PeerkitError as exc:
        error = exc
    scene.blame(what)
    if isinstance(error, DeadlineExceeded):
        raise AssertionError(f"{what} got no answer within {ANSWER_S:g} s")
    if isinstance(error, RemoteFailure):
        code, reason = error.remote_code, error.reason
        assert code not in OURS and not is_valid, f"{what} got the error {code}: {reason}"
        assert reason.strip(), f"{what} was refused without a word"
    # A protocol without `on_request` resets the stream, and one may close the session of who breaks its rules.
    assert not is_valid, f"{what} failed: {error}"


async def _say(peer: Peer, protocol: str, data: bytes, end: Callable[[Peer, Stream], Awaitable[None]]) -> None:
    try:
        stream = await peer.open_stream(protocol)
        async with asyncio.timeout(STREAM_S):
            await stream.write(data)
            await end(peer, stream)
    except (PeerkitError, TimeoutError):
        return  # refused, or it waits for more: both are its right


async def _finish(_peer: Peer, stream: Stream) -> None:
    await stream.finish()
    while await stream.read():
        pass


async def _reset(_peer: Peer, stream: Stream) -> None:
    await asyncio.sleep(0.2)
    stream.reset()
    await asyncio.sleep(0.2)


async def _leave(peer: Peer, _stream: Stream) -> None:
    await asyncio.sleep(0.2)
    await peer.close()


async def _quietly(call: Awaitable[object]) -> None:
    try:
        await call
    except PeerkitError:
        return


def _short(data: bytes) -> str:
    return f"{len(data)} bytes ({data[:16].hex()}{'…' if len(data) > 16 else ''})"


PROTOCOL_CHECKS: tuple[ProtocolCheck, ...] = complete(
    versions_are_agreed,
    valid_requests_are_answered,
    hostile_requests_are_answered_or_refused,
    hostile_messages_are_passed_over,
    hostile_datagrams_are_passed_over,
    hostile_streams_end,
    peers_that_answer_nonsense_are_survived,
    handlers_end_with_their_session,
)
