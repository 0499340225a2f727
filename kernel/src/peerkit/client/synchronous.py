"""The blocking client, on a plain socket: what the command line uses."""

import itertools
import os
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from .._control.place import open_socket, read_place
from .._control.wire import Json, LineSplitter, Reply, encode, parse_reply
from ..errors import EndpointClosed, LimitExceeded, NodeNotRunning, PeerkitError
from .conversation import Conversation, OnItem, OnProgress, as_json, check_hello

CONNECT_TIMEOUT_S = 5.0  # a node answers its own machine in milliseconds unless its loop hangs
CANCEL_TIMEOUT_S = 2.0  # how long Ctrl-C waits for the node to say that it stopped


class SyncClient:
    """A connection to a running node; one call at a time.  Use it in a `with` block.

    Attributes:
        peer_id: the node's, in text form.
        version: the node's Peerkit version.
    """

    def __init__(self, sock: socket.socket, token: str = "") -> None:
        self._sock = sock
        self._splitter = LineSplitter()
        self._lines: list[bytes | None] = []
        self._ids = itertools.count(1)
        if token:
            sock.sendall(encode({"token": token}))
        try:
            hello = check_hello(self._next_reply())
        except TimeoutError:
            raise NodeNotRunning("the node does not answer on its control socket; it may hang") from None
        self.peer_id = hello.peer_id
        self.version = hello.version
        sock.settimeout(None)

    @classmethod
    def connect(cls, data_dir: str | os.PathLike[str]) -> Self:
        """Connect to the node of this data directory.

        Raises:
            NodeNotRunning: there is none, or it does not answer within 5 s.
        """
        place = read_place(os.path.expanduser(data_dir))
        sock = open_socket(place, CONNECT_TIMEOUT_S)
        try:
            return cls(sock, place.token)
        except EndpointClosed as exc:
            sock.close()
            raise NodeNotRunning("the node closed its control socket at once; is it stopping?") from exc
        except BaseException:
            sock.close()
            raise

    def call(
        self, op: str, /, *, on_progress: OnProgress | None = None, on_item: OnItem | None = None, **args: object
    ) -> Json:
        """Run an operation and return its answer.

        Args:
            op: its name, `share`, `routines.start`.
            on_progress: called at most ten times a second.
            on_item: called for each part of the answer that the node tells before the end.
            args: as JSON values; `Path`s are made absolute in the current directory.

        Raises:
            PeerkitError: of the class that the node raised; `EndpointClosed` when the node went away.
            KeyboardInterrupt: after the node was told to cancel.
        """
        conversation = Conversation(on_progress, on_item)
        call_id = self._send_call(op, args)
        try:
            while not conversation.is_done:
                self._receive(conversation, call_id)
        except BaseException:
            self._cancel(conversation, call_id)
            raise
        return conversation.result

    def stream(self, op: str, /, *, on_progress: OnProgress | None = None, **args: object) -> Iterator[Json]:
        """Yield the parts of an operation's answer as the node tells them; those of the final answer if it told none.

        Closing the iterator cancels the operation.
        """
        items: list[Json] = []
        conversation = Conversation(on_progress, items.append)
        call_id = self._send_call(op, args)
        try:
            while not conversation.is_done:
                self._receive(conversation, call_id)
                yield from items
                items.clear()
        except BaseException:
            self._cancel(conversation, call_id)
            raise
        if conversation.items_received == 0:
            yield from conversation.result if isinstance(conversation.result, list) else [conversation.result]

    def close(self) -> None:
        """Idempotent."""
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _send_call(self, op: str, args: dict[str, object]) -> int:
        call_id = next(self._ids)
        line = encode({"id": call_id, "op": op, "args": as_json(args)})
        try:
            self._sock.sendall(line)
        except OSError as exc:
            raise EndpointClosed("the control connection", str(exc), by_peer=True) from exc
        return call_id

    def _receive(self, conversation: Conversation, call_id: int) -> None:
        reply = self._next_reply()
        # An error without an id is about a line that the node could not read: ours.
        if getattr(reply, "id", None) in (call_id, None):
            conversation.receive(reply)

    def _next_reply(self) -> Reply:
        while not self._lines:
            try:
                data = self._sock.recv(65_536)
            except TimeoutError:
                raise
            except OSError as exc:
                raise EndpointClosed("the control connection", str(exc), by_peer=True) from exc
            if not data:
                raise EndpointClosed("the control connection", "the node went away", by_peer=True)
            self._lines = self._splitter.receive_data(data)
        line = self._lines.pop(0)
        if line is None:
            raise LimitExceeded("the node sent a line that is too long")
        return parse_reply(line)

    def _cancel(self, conversation: Conversation, call_id: int) -> None:
        """Tell the node to stop the call, and wait a little for its word, so that what it cleans up is clean."""
        if conversation.is_done:
            return
        try:
            self._sock.settimeout(CANCEL_TIMEOUT_S)
            self._sock.sendall(encode({"id": call_id, "cancel": True}))
            rest = Conversation()
            while not rest.is_done:
                self._receive(rest, call_id)
        except (PeerkitError, OSError):
            pass  # it is cancelled, or gone
        finally:
            self._sock.settimeout(None)
