"""What `peerkit doctor` says about the node's public address, in words for its owner."""

from collections.abc import Sequence

from peerkit.address import Address
from peerkit.capabilities import Finding, NatFiltering, NatMapping

from .outside_view import OutsideView
from .trials import Trial
from .url_answers import UrlVerdict
from .verification import Verification

_MAPPING = {
    NatMapping.UNKNOWN: "too few peers have said where they see this node to tell how its router translates",
    NatMapping.NONE: "no router translates this node's addresses",
    NatMapping.ENDPOINT_INDEPENDENT: "the router shows this node to all peers at one port",
    NatMapping.SYMMETRIC: "the router shows this node to every peer at another port (a symmetric NAT)",
    NatMapping.SYMMETRIC_SEQUENTIAL: "the router shows this node to every peer at the next port (a sequential "
    "symmetric NAT)",
}
_FILTERING = {
    NatFiltering.UNKNOWN: "whom it lets in is not known yet",
    NatFiltering.ENDPOINT_INDEPENDENT: "anybody's packets come in",
    NatFiltering.ADDRESS_DEPENDENT: "packets come in only from IPs that this node has sent to",
    NatFiltering.ADDRESS_AND_PORT_DEPENDENT: "packets come in only from where this node has sent to",
}
_HARD = (NatMapping.SYMMETRIC, NatMapping.SYMMETRIC_SEQUENTIAL)


def findings(
    view: OutsideView,
    verification: Verification,
    is_public: bool | None,
    confirmed: Sequence[Address],
    by_url: UrlVerdict | None,
) -> list[Finding]:
    """All that is known now."""
    found = [
        _nat(view, verification.filtering),
        _address(view, confirmed),
        _reachability(view, verification, is_public),
    ]
    return found if by_url is None else [*found, _by_url(by_url)]


def _by_url(verdict: UrlVerdict) -> Finding:
    details: dict[str, object] = {
        "host": verdict.host,
        "pages": [{"url": a.url, "host": a.host, "reason": a.reason} for a in verdict.answers],
    }
    if verdict.host:
        return Finding("IPv4 by URL", "ok", f"the pages say {verdict.host}", details)
    failed = next((answer for answer in verdict.answers if answer.reason), None)
    text = f"the pages do not tell the public IPv4: {verdict.reason}"
    if failed is not None:
        text += f" ({failed.url}: {failed.reason})"
    return Finding("IPv4 by URL", "warning", text, details)


def _nat(view: OutsideView, filtering: NatFiltering) -> Finding:
    verdict = view.mapping
    text = f"{_MAPPING[verdict.mapping]}; {_FILTERING[filtering]}"
    if verdict.mapping in _HARD:
        text += "; direct connections need the other side's help, and between two such nodes a relay"
    return Finding(
        "NAT",
        "warning" if verdict.mapping in _HARD else "info" if verdict.mapping is NatMapping.UNKNOWN else "ok",
        text,
        {"mapping": verdict.mapping.value, "filtering": filtering.value, "port_step": verdict.port_step},
    )


def _address(view: OutsideView, confirmed: Sequence[Address]) -> Finding:
    seen = [*view.observations.endpoints(), *view.observations.hosts()]
    details: dict[str, object] = {
        "observers": len(view.observations),
        "confirmed": [str(address) for address in confirmed],
        "seen": [{"host": c.host, "port": c.port, "networks": c.witnesses} for c in seen],
    }
    if not seen:
        return Finding("public address", "info", "no peer has said yet where it sees this node", details)
    best = seen[0]
    where = f"{best.host} port {best.port}" if best.port else best.host
    peers = "peers of one network see" if best.witnesses == 1 else f"peers of {best.witnesses} networks see"
    text = f"{peers} this node at {where}"
    if confirmed:
        text += f"; it tells others {', '.join(str(address) for address in confirmed)}"
    return Finding("public address", "ok" if confirmed else "info", text, details)


def _reachability(view: OutsideView, verification: Verification, is_public: bool | None) -> Finding:
    trials = verification.trials.all()
    details: dict[str, object] = {
        "is_public": is_public,
        "dial_backs": [_trial(trial) for trial in trials],
        "not_tried": dict(verification.notes),
    }
    if not view.listening_schemes:
        return Finding("reachability", "info", "this node listens nowhere, so strangers cannot reach it", details)
    arrived = sorted({str(trial.address) for trial in trials if trial.arrived})
    if is_public:
        return Finding("reachability", "ok", f"strangers reach this node at {', '.join(arrived)}", details)
    if is_public is False:
        failed = [trial for trial in trials if not trial.arrived]
        why = failed[-1].reason if failed else "nothing arrived"
        text = (
            f"strangers do not reach this node: {len(failed)} of {len(trials)} dial-backs failed ({why}); "
            "enable port mapping on the router, or forward the listening port to this machine"
        )
        return Finding("reachability", "warning", text, details)
    text = "not enough peers have tried to reach this node"
    if verification.notes:
        server, reason = next(reversed(verification.notes.items()))
        text += f"; {server}: {reason}"
    return Finding("reachability", "info", text, details)


def _trial(trial: Trial) -> dict[str, object]:
    return {
        "server": trial.server,
        "network": trial.network,
        "address": str(trial.address),
        "from": "another port" if trial.origin.name == "OTHER_PORT" else "another IP",
        "arrived": trial.arrived,
        "reason": trial.reason,
    }
