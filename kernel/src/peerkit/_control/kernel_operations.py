"""The operations that every node has, whatever its plugins: id, status, peers, connect, plugins, routines, settings,
events, decisions of the trust gate, and the catalogue itself.

They see the node through `NodeView` alone.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Any, cast

from .. import __version__
from ..address import Address, parse_target
from ..errors import ConnectFailed, DeadlineExceeded, LimitExceeded, NotFound, PeerUnreachable, TrustDenied
from ..identity import PeerId
from ..operation import Call, Column, Nothing, Operation, View
from ..trust import Action, Question
from .kernel_answers import (
    ConnectRequest,
    DecisionAnswer,
    DecisionsRequest,
    EventAnswer,
    EventsRequest,
    ExplainRequest,
    FindingAnswer,
    IdAnswer,
    OpinionAnswer,
    PeerAnswer,
    RoutineAnswer,
    RoutineInterval,
    RoutineName,
    SettingAnswer,
    StatusAnswer,
    describe_event,
    describe_finding,
    describe_peer,
    describe_routine,
    describe_setting,
)
from .kernel_views import CATALOGUE, DECISIONS, EVENTS, FINDINGS, OPINIONS, PEERS, ROUTINES, SETTINGS, STATUS
from .node_view import NodeView
from .plugin_operations import PluginOperations
from .registry import OperationInfo

OWNER = "kernel"


class KernelOperations:
    """The handlers, and their declarations."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    @classmethod
    def declared(cls) -> Sequence[Operation[Any]]:
        """The operations to describe, not to call: there is no node behind their handlers."""
        return cls(cast(NodeView, None)).all()

    def register(self) -> None:
        """Add them all to the node's registry."""
        for operation in self.all():
            self._node.operations.add(OWNER, operation)

    def all(self) -> Sequence[Operation[Any]]:
        peer_id = View(kind="lines", columns=(Column("peer_id", "Peer id"),))
        one_peer = View(kind="fields", columns=PEERS.columns)
        unreachable = (PeerUnreachable, ConnectFailed, DeadlineExceeded, TrustDenied, LimitExceeded)
        started = View(kind="none", done="{name} is started")
        every = View(kind="none", done="{name} runs every {interval_s}")
        stopped = View(kind="none", done="{name} is stopped")
        return [
            Operation("id", Nothing, IdAnswer, self.id, summary="Show this node's peer id", view=peer_id),
            Operation("status", Nothing, StatusAnswer, self.status, summary="Show how the node is", view=STATUS),
            Operation("peers", Nothing, PeerAnswer, self.peers, many=True, summary="List the peers", view=PEERS),
            Operation("connect", ConnectRequest, PeerAnswer, self.connect, effect="change",
                      summary="Connect to a peer", view=one_peer, errors=unreachable),
            *PluginOperations(self._node).all(),
            Operation("routines", Nothing, RoutineAnswer, self.routines, many=True,
                      summary="List the jobs that the node repeats", view=ROUTINES),
            Operation("routines.start", RoutineName, RoutineAnswer, self.start_routine, effect="change",
                      summary="Start a routine", view=started, errors=(NotFound,)),
            Operation("routines.stop", RoutineName, RoutineAnswer, self.stop_routine, effect="change",
                      summary="Stop a routine", view=stopped, errors=(NotFound,)),
            Operation("routines.interval", RoutineInterval, RoutineAnswer, self.set_interval, effect="change",
                      summary="Change how often a routine runs", view=every, errors=(NotFound,)),
            Operation("config.explain", Nothing, SettingAnswer, self.explain_config, many=True,
                      summary="Show every setting and where it comes from", view=SETTINGS),
            Operation("events", EventsRequest, EventAnswer, self.events, many=True,
                      summary="Show what happened", view=EVENTS),
            Operation("trust.decisions", DecisionsRequest, DecisionAnswer, self.decisions, many=True,
                      summary="Show the trust gate's recent decisions", view=DECISIONS),
            Operation("trust.explain", ExplainRequest, OpinionAnswer, self.explain_trust, many=True,
                      summary="Show what the trust gate would decide", view=OPINIONS),
            Operation("doctor", Nothing, FindingAnswer, self.doctor, many=True,
                      summary="Show how this node can be reached, and why not", view=FINDINGS),
            Operation("operations", Nothing, OperationInfo, self.catalogue, many=True,
                      summary="List every operation of this node", view=CATALOGUE),
        ]  # fmt: skip

    async def id(self, _request: Nothing, _call: Call) -> IdAnswer:
        return IdAnswer(peer_id=str(self._node.peer_id))

    async def status(self, _request: Nothing, _call: Call) -> StatusAnswer:
        node = self._node
        plugins = [plugin for plugin in node.host.status() if plugin.enabled]
        return StatusAnswer(
            peer_id=str(node.peer_id),
            listen=tuple(map(str, node.addresses)),
            uptime_s=round(node.clock.now() - node.started_at, 3),
            peers=len(node.pool.peers()),
            network=node.network,
            version=__version__,
            data_dir=str(node.data_dir),
            pid=os.getpid(),
            plugins=tuple(plugin.name for plugin in plugins if plugin.running),
            failed=tuple(f"{plugin.name}: {plugin.error}" for plugin in plugins if plugin.error),
        )

    async def peers(self, _request: Nothing, _call: Call) -> Sequence[PeerAnswer]:
        return [describe_peer(peer) for peer in self._node.pool.peers()]

    async def connect(self, request: ConnectRequest, _call: Call) -> PeerAnswer:
        return describe_peer(await self._node.pool.connect(parse_target(request.target), request.timeout_s))

    async def routines(self, _request: Nothing, _call: Call) -> Sequence[RoutineAnswer]:
        return [describe_routine(status) for status in self._node.routines.statuses()]

    async def start_routine(self, request: RoutineName, _call: Call) -> RoutineAnswer:
        self._node.routines.start(request.name)
        return describe_routine(self._node.routines.status(request.name))

    async def stop_routine(self, request: RoutineName, _call: Call) -> RoutineAnswer:
        self._node.routines.stop(request.name)
        return describe_routine(self._node.routines.status(request.name))

    async def set_interval(self, request: RoutineInterval, _call: Call) -> RoutineAnswer:
        self._node.routines.set_interval(request.name, request.interval_s)
        return describe_routine(self._node.routines.status(request.name))

    async def explain_config(self, _request: Nothing, _call: Call) -> Sequence[SettingAnswer]:
        return [describe_setting(explanation) for explanation in self._node.host.explain()]

    async def events(self, request: EventsRequest, call: Call) -> Sequence[EventAnswer]:
        """With `follow` it ends when the caller goes or the node stops."""
        if not request.follow:
            return [describe_event(e) for e in self._node.events.recent() if request.type in ("", e.type)]
        subscription = self._node.events.follow(replay=True)
        try:
            async for emitted in subscription:
                if request.type in ("", emitted.type):
                    call.item(describe_event(emitted))
                    await asyncio.sleep(0)  # a burst must leave the caller's connection a turn to be written
        finally:
            subscription.close()
        return []

    async def decisions(self, request: DecisionsRequest, _call: Call) -> Sequence[DecisionAnswer]:
        now = self._node.clock.now()
        return [
            DecisionAnswer(
                action=decision.question.action.value,
                allow=decision.allow,
                policy=decision.policy,
                reason=decision.reason,
                peer_id=str(decision.question.peer_id or ""),
                address=str(decision.question.address.without_peer()) if decision.question.address else "",
                seconds_ago=round(now - decision.at, 3),
            )
            for decision in self._node.gate.decisions(request.limit)
        ]

    async def explain_trust(self, request: ExplainRequest, _call: Call) -> Sequence[OpinionAnswer]:
        question = Question(
            Action(request.action),
            PeerId.parse(request.peer) if request.peer else None,
            Address.parse(request.address) if request.address else None,
            request.protocol or None,
        )
        decision, opinions = self._node.gate.explain(question)
        answers = [OpinionAnswer(policy=o.policy, allow=o.allow, reason=o.reason) for o in opinions]
        final = OpinionAnswer(policy="decision", allow=decision.allow, reason=f"{decision.policy}: {decision.reason}")
        return [*answers, final]

    async def doctor(self, _request: Nothing, _call: Call) -> Sequence[FindingAnswer]:
        """The worst first."""
        order = ("problem", "warning", "info", "ok")
        found = [describe_finding(plugin, finding) for plugin, finding in await self._node.host.diagnose()]
        return sorted(found, key=lambda finding: order.index(finding.verdict))

    async def catalogue(self, _request: Nothing, _call: Call) -> Sequence[OperationInfo]:
        return self._node.operations.catalogue()
