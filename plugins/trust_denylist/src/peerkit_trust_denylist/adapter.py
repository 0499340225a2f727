"""The plugin object: keeps the list on disk and answers the operations."""

from collections.abc import Sequence

from peerkit.errors import NotFound, UsageError
from peerkit.operation import Call, Nothing, Operation
from peerkit.plugin import Database, DatabaseCursor, PluginContext, hookimpl
from peerkit.session import Code
from peerkit.trust import Action, Question, TrustPolicy

from .deny_list import DenyList, Entry
from .operations import (
    AllowedAnswer,
    AllowRequest,
    DeniedAnswer,
    DenyRequest,
    allow_operation,
    deny_operation,
    list_operation,
)
from .rule import Rule
from .settings import DenyListSettings

MIGRATIONS = ("CREATE TABLE rules (rule TEXT PRIMARY KEY, reason TEXT NOT NULL, added_at REAL NOT NULL) STRICT",)
MAX_ENTRIES = 100_000  # ≈ 50 MiB; the owner's own, so this only stops a runaway script


class TrustDenyList:
    """The plugin object of one node."""

    def __init__(self, ctx: PluginContext[DenyListSettings]) -> None:
        self._ctx = ctx
        self._list = DenyList(Entry(Rule.parse(text), from_settings=True) for text in ctx.settings.deny)
        self._database: Database | None = None

    async def start(self) -> None:
        """Read the owner's rules; until then the policy denies everything."""
        self._database = await self._ctx.open_database("deny_list", MIGRATIONS)
        query = "SELECT rule, reason, added_at FROM rules"
        rows = await self._database.run(lambda cursor: cursor.execute(query).fetchall())
        for text, reason, added_at in rows:
            try:
                rule = Rule.parse(str(text))
            except UsageError as exc:
                self._ctx.log.error("a damaged rule of the deny list is ignored", rule=str(text), error=str(exc))
                continue
            assert isinstance(added_at, float)
            self._list.add(Entry(rule, str(reason), added_at=added_at))
        self._list.is_loaded = True

    @hookimpl
    def peerkit_register_trust_policies(self) -> Sequence[TrustPolicy]:
        return [self._list]

    @hookimpl
    def peerkit_register_operations(
        self,
    ) -> Sequence[Operation[DenyRequest] | Operation[AllowRequest] | Operation[Nothing]]:
        return [deny_operation(self.deny), allow_operation(self.allow), list_operation(self.show)]

    async def deny(self, request: DenyRequest, call: Call) -> Sequence[DeniedAnswer]:
        rules = [Rule.parse(text) for text in request.rules]
        if len(self._list) + len(rules) > MAX_ENTRIES:
            raise UsageError(f"the deny list holds at most {MAX_ENTRIES} rules; deny a network instead of its hosts")
        now = self._ctx.clock.wall()
        for rule in rules:  # in memory first: it counts at once, whatever the disk does
            self._list.add(Entry(rule, request.reason, added_at=now))
        left = await self._leave_denied()
        rows = [(rule.text, request.reason, now) for rule in rules]
        await self._write("INSERT OR REPLACE INTO rules VALUES (?, ?, ?)", rows)
        return [_answer(entry, left.get(rule, 0)) for rule in rules if (entry := self._list.get(rule)) is not None]

    async def allow(self, request: AllowRequest, call: Call) -> Sequence[AllowedAnswer]:
        rules = [Rule.parse(text) for text in request.rules]
        for rule in rules:
            entry = self._list.get(rule)
            if entry is None:
                by = self._list.covering(rule)
                hint = f"; it is denied by {by.rule.text}" if by is not None else ""
                raise NotFound(f"{rule.text} is not on the deny list{hint}")
            if entry.from_settings:
                raise UsageError(f"{rule.text} is denied by the profile: take it out of plugins.{self._ctx.name}.deny")
        await self._write("DELETE FROM rules WHERE rule = ?", [(rule.text,) for rule in rules])
        for rule in rules:
            self._list.remove(rule)
        covering = [(rule, self._list.covering(rule)) for rule in rules]
        return [AllowedAnswer(rule=rule.text, still_denied_by=by.rule.text if by else "") for rule, by in covering]

    async def show(self, request: Nothing, call: Call) -> Sequence[DeniedAnswer]:
        return [_answer(entry) for entry in sorted(self._list, key=lambda e: (e.rule.kind.value, e.rule.text))]

    async def _leave_denied(self) -> dict[Rule, int]:
        """Close the sessions of members that are denied now; how many for each rule."""
        left: dict[Rule, int] = {}
        for peer in self._ctx.pool.peers():
            entry = self._list.match(Question(Action.ACCEPT_PEER, peer.id, peer.session.remote))
            if entry is not None:
                left[entry.rule] = left.get(entry.rule, 0) + 1
                await peer.close(Code.DENIED, "denied")
        return left

    async def _write(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        def work(cursor: DatabaseCursor) -> None:
            cursor.executemany(sql, rows)

        assert self._database is not None, "operations are answered after start"
        await self._database.run(work)


def _answer(entry: Entry, left: int = 0) -> DeniedAnswer:
    source = "profile" if entry.from_settings else "owner"
    rule = entry.rule
    return DeniedAnswer(
        rule=rule.text, kind=rule.kind.value, reason=entry.reason, source=source, added_at=entry.added_at, left=left
    )
