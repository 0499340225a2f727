"""Every error of Peerkit.

A class exists where some caller acts differently.  Classes build their sentence from typed fields which they keep; over
the control socket `code` and the fields travel and the client raises the same class again (`from_wire`).

    PeerkitError ── UsageError 2 · ConfigError · PluginError (PluginLoadError, PluginConflictError, Unavailable)
                 ── ProtocolError (LocalProtocolError, RemoteProtocolError)
                 ── TransportError (ConnectFailed, PeerUnreachable, EndpointClosed, DeadlineExceeded)
                 ── LimitExceeded · StorageError · NotFound 3 · VerificationFailed 4 · TrustDenied 5 · NodeNotRunning 6
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class PeerkitError(Exception):
    """Base of all errors.  `code` is stable and machine-readable; `exit_status` is what the command line exits with."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def details(self) -> dict[str, object]:
        """The typed fields, as JSON values."""
        return {
            name: value
            for name, value in vars(self).items()
            if name not in ("message", "code") and not name.startswith("_")
        }


class UsageError(PeerkitError):
    """The caller asked for something that makes no sense: a malformed id, a missing argument."""

    code = "usage"
    exit_status = 2


class ConfigError(PeerkitError):
    """The profile is wrong.  `problems` holds every problem, one sentence each, with its path."""

    code = "config"
    exit_status = 2

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        head = "the configuration is wrong" if len(self.problems) == 1 else f"{len(self.problems)} settings are wrong"
        super().__init__(f"{head}: " + "; ".join(self.problems))


class PluginError(PeerkitError):
    """A plugin failed."""

    code = "plugin"


class PluginLoadError(PluginError):
    """Enabled plugins could not be loaded.  `problems` names each plugin and its cause."""

    code = "plugin_load"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the node cannot start: " + "; ".join(self.problems))


class PluginConflictError(PluginError):
    """Two plugins claim one thing; the sentence names both."""

    code = "plugin_conflict"


class Unavailable(PluginError):
    """A capability's provider is down or gone; try later."""

    code = "unavailable"


class ProtocolError(PeerkitError):
    """A rule of a protocol was broken; see the two subclasses for by whom."""

    code = "protocol"


class LocalProtocolError(ProtocolError):
    """We broke the rule: a call that is illegal in this state."""

    code = "local_protocol"


class RemoteProtocolError(ProtocolError):
    """The peer broke the rule.  The only error that bytes from outside can cause."""

    code = "remote_protocol"


class TransportError(PeerkitError):
    """Bytes could not be moved."""

    code = "transport"


class ConnectFailed(TransportError):
    """One address did not lead to a session."""

    code = "connect_failed"

    def __init__(self, address: str, reason: str) -> None:
        self.address = address
        self.reason = reason
        super().__init__(f"cannot connect to {address}: {reason}")


class PeerUnreachable(TransportError):
    """None of a peer's addresses led to a session."""

    code = "peer_unreachable"

    def __init__(self, peer_id: str, reasons: Sequence[str] = ()) -> None:
        self.peer_id = peer_id
        self.reasons = tuple(reasons)
        tried = "; ".join(self.reasons) if self.reasons else "no address is known"
        super().__init__(f"cannot reach peer {peer_id}: {tried}")


class EndpointClosed(TransportError):
    """The session, stream or socket is closed.  `by_peer` tells by which side, `reason_code` and `reason` why."""

    code = "closed"

    def __init__(self, what: str, reason: str = "", reason_code: int = 0, by_peer: bool = False) -> None:
        self.what = what
        self.reason = reason
        self.reason_code = reason_code
        self.by_peer = by_peer
        who = "by the peer" if by_peer else "on this side"
        super().__init__(f"{what} was closed {who}" + (f": {reason}" if reason else ""))


class DeadlineExceeded(TransportError):
    """Something took longer than its deadline."""

    code = "deadline"

    def __init__(self, what: str, deadline_s: float) -> None:
        self.what = what
        self.deadline_s = deadline_s
        super().__init__(f"{what} took longer than {deadline_s:g} s")


class LimitExceeded(PeerkitError):
    """A bound was reached; nothing was taken."""

    code = "limit"


class StorageError(PeerkitError):
    """The disk or a database failed: full, damaged, in use, of a newer version."""

    code = "storage"


class NotFound(PeerkitError):
    """What was asked for does not exist, or no one who has it could be found."""

    code = "not_found"
    exit_status = 3


class VerificationFailed(PeerkitError):
    """Bytes do not match their hash or signature."""

    code = "verification"
    exit_status = 4


class TrustDenied(PeerkitError):
    """A trust policy said no.  `policy` and `reason` explain."""

    code = "denied"
    exit_status = 5

    def __init__(self, action: str, policy: str, reason: str) -> None:
        self.action = action
        self.policy = policy
        self.reason = reason
        super().__init__(f"{action} was denied by {policy}: {reason}")


class NodeNotRunning(PeerkitError):
    """No node answers in this data directory."""

    code = "not_running"
    exit_status = 6


def _all_classes() -> dict[str, type[PeerkitError]]:
    found: dict[str, type[PeerkitError]] = {}
    todo: list[type[PeerkitError]] = [PeerkitError]
    while todo:
        cls = todo.pop()
        found[cls.code] = cls
        todo.extend(cls.__subclasses__())
    return found


def to_wire(error: PeerkitError) -> dict[str, object]:
    """What travels: `code`, `message`, `details`, and `base`, the nearest class of this module, for a receiver that
    does not know a plugin's own class."""
    base = next(cls.code for cls in type(error).__mro__ if cls.__module__ == __name__ and issubclass(cls, PeerkitError))
    return {"code": error.code, "message": error.message, "details": error.details(), "base": base}


def from_wire(code: str, message: str, details: Mapping[str, object], base: str = "error") -> PeerkitError:
    """The error that another process described: same class, sentence and fields.  An unknown code gives the class of
    `base`, which keeps the code."""
    classes = _all_classes()
    cls = classes.get(code) or classes.get(base, PeerkitError)
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.message = message
    for name, value in details.items():
        if name.isidentifier() and not name.startswith("_") and not hasattr(PeerkitError, name):
            setattr(error, name, tuple(value) if isinstance(value, list) else value)
    if code != cls.code:
        vars(error)["code"] = code
    return error
