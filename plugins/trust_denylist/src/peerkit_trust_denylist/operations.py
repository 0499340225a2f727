"""What a person can ask of the deny list."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from pydantic import Field

from peerkit.errors import NotFound, StorageError
from peerkit.operation import Arg, Call, Column, Model, Nothing, Operation, View

_RULE_HELP = "a peer id, an IP address, a network such as 192.0.2.0/24, or an address such as tcp://192.0.2.1:4433"
MAX_RULES = 1_000  # of one call
MAX_REASON_CHARS = 200

Rules = Annotated[
    tuple[str, ...], Field(min_length=1, max_length=MAX_RULES), Arg(positional=True, metavar="RULE", help=_RULE_HELP)
]


class DenyRequest(Model):
    """Refuse peers, hosts or networks from now on, and leave those that are connected."""

    rules: Rules
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS), Arg(short="r", help="kept with the rule")] = ""


class AllowRequest(Model):
    """Take rules off the deny list."""

    rules: Rules


class DeniedAnswer(Model):
    """One rule of the list.

    Attributes:
        kind: `peer`, `network` (also a single host) or `address`.
        source: `profile` or `owner`.
        added_at: unix seconds; 0 for the profile's.
        left: connected peers that were left because of it (answer of `trust.deny` only).
    """

    rule: str
    kind: str
    reason: str
    source: str
    added_at: float
    left: int = 0


class AllowedAnswer(Model):
    """One rule that was taken off; `still_denied_by` names another one that covers it, or is empty."""

    rule: str
    still_denied_by: str


_RULE_COLUMNS = (
    Column("rule", "rule"),
    Column("kind", "kind"),
    Column("source", "source"),
    Column("reason", "reason"),
)


def deny_operation(handler: Callable[[DenyRequest, Call], Awaitable[Sequence[DeniedAnswer]]]) -> Operation[DenyRequest]:
    return Operation(
        "trust.deny",
        DenyRequest,
        DeniedAnswer,
        handler,
        effect="change",
        many=True,
        summary="Refuse a peer, a host or a network",
        view=View("table", (*_RULE_COLUMNS, Column("left", "peers left"))),
        errors=(StorageError,),
    )


def allow_operation(
    handler: Callable[[AllowRequest, Call], Awaitable[Sequence[AllowedAnswer]]],
) -> Operation[AllowRequest]:
    return Operation(
        "trust.allow",
        AllowRequest,
        AllowedAnswer,
        handler,
        effect="change",
        many=True,
        summary="Take a rule off the deny list",
        view=View("table", (Column("rule", "rule"), Column("still_denied_by", "still denied by"))),
        errors=(NotFound, StorageError),
    )


def list_operation(handler: Callable[[Nothing, Call], Awaitable[Sequence[DeniedAnswer]]]) -> Operation[Nothing]:
    return Operation(
        "trust.list",
        Nothing,
        DeniedAnswer,
        handler,
        many=True,
        summary="Show the deny list",
        view=View("table", _RULE_COLUMNS, empty="nobody is denied"),
    )
