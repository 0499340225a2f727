"""The kernel's operations as data: their requests and answers, made from what the node tells."""

import math
from typing import Annotated, Literal

from pydantic import Field

from .._config.profile import Explanation
from .._host.plan import PluginStatus
from .._host.plugin_host import PluginUsage
from .._host.run_time_control import Change
from .._runtime.event_bus import Emitted
from .._runtime.routines import RoutineStatus
from .._runtime.tally import Tally
from ..capabilities import Finding
from ..operation import Arg, Model
from ..session import Peer


class IdAnswer(Model):
    peer_id: str


class StatusAnswer(Model):
    peer_id: str
    listen: tuple[str, ...]
    uptime_s: float
    peers: int
    network: str
    version: str
    data_dir: str
    pid: int
    plugins: tuple[str, ...]
    failed: tuple[str, ...]


class PeerAnswer(Model):
    """`path` is the active one's kind, the figures are its own; null where the transport cannot tell, and `rtt_s`
    before the first measurement."""

    peer_id: str
    addresses: tuple[str, ...]
    direction: Literal["in", "out"]
    transport: str
    rtt_s: float | None
    protocols: tuple[str, ...]
    path: str
    loss: float | None
    window_bytes: int | None
    max_datagram_bytes: int | None


class PluginAnswer(Model):
    name: str
    version: str
    distribution: str
    enabled: bool
    running: bool
    provides: tuple[str, ...]
    requires: tuple[str, ...]
    error: str


class PluginDetails(PluginAnswer):
    """`held_s` is for how long its code held the event loop; `longest` the longest single time, and in what."""

    calls: int
    errors: int
    last_error: str
    held_s: float
    longest_s: float
    longest: str
    restarts: int
    tasks: int
    timers: int
    subscriptions: int
    limits: dict[str, int]


class PluginsRequest(Model):
    """Say why one does not run; with --verbose also what each did: calls, errors, time, and what it holds."""

    verbose: Annotated[bool, Arg(short="-v", help="calls, errors, time and limits of each")] = False


class PluginName(Model):
    name: Annotated[str, Arg(positional=True, metavar="NAME")]


class PluginNames(Model):
    """Name those that require it too, if there are any."""

    names: Annotated[tuple[str, ...], Field(min_length=1), Arg(positional=True, metavar="NAME")]


class RestartRequest(Model):
    """New code needs a restart of the node."""

    name: Annotated[str, Arg(positional=True, metavar="NAME")]
    set: Annotated[tuple[str, ...], Arg(metavar="KEY=VALUE", help="a setting of the plugin, until the node stops")] = ()


class ChangeAnswer(Model):
    """`with_it` were restarted too; `sessions_without` began before it and get its protocols when they are made anew;
    `tasks_left` refuse to end."""

    name: str
    text: str
    with_it: tuple[str, ...] = ()
    sessions_without: int = 0
    tasks_left: int = 0


class RoutineAnswer(Model):
    name: str
    plugin: str
    started: bool
    running: bool
    interval_s: float
    next_in_s: float | None
    runs: int
    failures: int
    last_error: str
    last_duration_s: float | None


class FindingAnswer(Model):
    """`details` holds figures and names for programs."""

    topic: str
    verdict: Literal["ok", "info", "warning", "problem"]
    text: str
    plugin: str
    details: dict[str, object]


class SettingAnswer(Model):
    key: str
    value: object
    layer: str


class EventAnswer(Model):
    """`at` is in seconds since 1970; `sequence` counts the events of one type, so that a gap shows."""

    at: float
    event: str
    sequence: int
    fields: dict[str, object]


class DecisionAnswer(Model):
    action: str
    allow: bool
    policy: str
    reason: str
    peer_id: str
    address: str
    seconds_ago: float


class ConnectRequest(Model):
    """Connect to a peer and keep it in the pool."""

    target: Annotated[str, Arg(positional=True, metavar="ADDRESS", help="tcp://host:port[/PEERID], or a known peer id")]
    timeout_s: Annotated[float, Field(gt=0, le=300), Arg(help="give up after this time")] = 10.0


class RoutineName(Model):
    name: Annotated[str, Arg(positional=True, metavar="NAME")]


class RoutineInterval(Model):
    name: Annotated[str, Arg(positional=True, metavar="NAME")]
    interval_s: Annotated[float, Field(gt=0), Arg(positional=True, metavar="SECONDS")]


class EventsRequest(Model):
    """Show the most recent events, and with --follow those to come."""

    follow: Annotated[bool, Arg(short="-f", help="go on until Ctrl-C")] = False
    type: Annotated[str, Arg(metavar="NAME", help="only events of this type, PeerConnected for one")] = ""


class DecisionsRequest(Model):
    """Show what the trust gate decided most recently, and which policy decided."""

    limit: Annotated[int, Field(ge=1, le=1000), Arg(short="-n", help="how many")] = 20


class ExplainRequest(Model):
    """Ask the trust gate what it would decide now; nothing is done or noted."""

    action: Annotated[
        Literal["dial", "accept_address", "accept_peer", "open_protocol", "store", "lookup", "relay"],
        Arg(positional=True),
    ]
    peer: Annotated[str, Arg(metavar="ID")] = ""
    address: Annotated[str, Arg(metavar="ADDRESS")] = ""
    protocol: Annotated[str, Arg(metavar="ID")] = ""


class OpinionAnswer(Model):
    """`allow` is null for a policy that abstains.  The last row, `decision`, is what counts."""

    policy: str
    allow: bool | None
    reason: str


def describe_peer(peer: Peer) -> PeerAnswer:
    session = peer.session
    addresses = [session.remote.without_peer()] if session.is_dialer else []
    if session.record is not None:
        addresses += [address for address in session.record.addresses if address not in addresses]
    rtt_s, path = session.stats.rtt_s, session.paths[0]
    return PeerAnswer(
        peer_id=str(peer.id),
        addresses=tuple(map(str, addresses or [session.remote.without_peer()])),
        direction="out" if session.is_dialer else "in",
        transport=session.transport,
        rtt_s=None if math.isnan(rtt_s) else rtt_s,
        protocols=tuple(sorted(peer.protocols)),
        path=path.kind.value,
        loss=None if math.isnan(path.loss) else path.loss,
        window_bytes=path.window_bytes or None,
        max_datagram_bytes=path.max_datagram_bytes or None,
    )


def describe_finding(plugin: str, finding: Finding) -> FindingAnswer:
    return FindingAnswer(
        topic=finding.topic,
        verdict=finding.verdict,
        text=finding.text,
        plugin=plugin,
        details=dict(finding.details),
    )


def describe_plugin(plugin: PluginStatus) -> PluginAnswer:
    return PluginAnswer(
        name=plugin.name,
        version=plugin.version,
        distribution=plugin.distribution,
        enabled=plugin.enabled,
        running=plugin.running,
        provides=tuple(plugin.provides),
        requires=tuple(plugin.requires),
        error=plugin.error,
    )


def describe_usage(plugin: PluginStatus, usage: PluginUsage | None) -> PluginDetails:
    """`None`: it does not run."""
    tally = usage.tally if usage is not None else Tally(plugin.name)
    return PluginDetails(
        **describe_plugin(plugin).model_dump(),
        calls=tally.calls,
        errors=tally.errors,
        last_error=tally.last_error,
        held_s=tally.held_s,
        longest_s=tally.longest_s,
        longest=tally.longest,
        restarts=usage.restarts if usage is not None else 0,
        tasks=usage.tasks if usage is not None else 0,
        timers=usage.timers if usage is not None else 0,
        subscriptions=usage.subscriptions if usage is not None else 0,
        limits=dict(usage.limits) if usage is not None else {},
    )


def describe_change(done: str, change: Change) -> ChangeAnswer:
    text = f"{change.name} {done}"
    if change.with_it:
        text += f"; {', '.join(change.with_it)} too, which {'require' if len(change.with_it) > 1 else 'requires'} it"
    if change.sessions_without:
        text += f"; {change.sessions_without} open sessions learn its protocols when they are made anew"
    if change.tasks_left:
        text += f"; {change.tasks_left} of its tasks refuse to end, which only a restart of the node ends"
    return ChangeAnswer(
        name=change.name,
        text=text,
        with_it=change.with_it,
        sessions_without=change.sessions_without,
        tasks_left=change.tasks_left,
    )


def describe_routine(status: RoutineStatus) -> RoutineAnswer:
    return RoutineAnswer(
        name=status.name,
        plugin=status.plugin,
        started=status.started,
        running=status.running,
        interval_s=status.interval_s,
        next_in_s=status.next_in_s,
        runs=status.runs,
        failures=status.failures,
        last_error=status.last_error,
        last_duration_s=status.last_duration_s,
    )


def describe_event(emitted: Emitted) -> EventAnswer:
    return EventAnswer(at=emitted.at, event=emitted.type, sequence=emitted.sequence, fields=emitted.event.as_json())


def describe_setting(explanation: Explanation) -> SettingAnswer:
    return SettingAnswer(key=explanation.key, value=explanation.value, layer=explanation.layer)
