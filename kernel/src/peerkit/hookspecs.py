"""The hooks.  Called once per start of a node, after every plugin object exists, in the order of this file; no I/O.

An implementation is a method of the plugin object with `@hookimpl`, the same name and no default arguments.  The kernel
sorts results by plugin name and checks their types; a name that two plugins use stops the node and names both.
"""

from collections.abc import Sequence
from typing import Protocol

import pluggy

from .datagram import CircuitTransport, DatagramTransport
from .discovery import Discovery
from .operation import Operation, RequestT
from .protocol import ProtocolSpec
from .routine import Routine
from .security import PlaintextWrapper, Security
from .transport import StreamTransport
from .trust import TrustPolicy

hookspec = pluggy.HookspecMarker("peerkit")


class Hooks(Protocol):
    """All hooks of the kernel."""

    @hookspec
    def peerkit_register_wrappers(self) -> Sequence[Security | PlaintextWrapper]:
        """Offer what happens between packets and the wire: the security handshake (exactly one per node) and wrappers
        that transform plaintext before it is sealed, applied in the profile's order.

        Example::

            @hookimpl
            def peerkit_register_wrappers(self) -> Sequence[Security]:
                return [self._noise]
        """
        ...

    @hookspec
    def peerkit_register_transports(self) -> Sequence[StreamTransport | DatagramTransport | CircuitTransport]:
        """Offer transports, of streams or of datagrams, or of circuits for those of datagrams.  Two that claim one
        scheme are an error.

        Example::

            @hookimpl
            def peerkit_register_transports(self) -> Sequence[StreamTransport]:
                return [TcpTransport(self._ctx.network)]
        """
        ...

    @hookspec
    def peerkit_register_trust_policies(self) -> Sequence[TrustPolicy]:
        """Offer policies for the gate; all are asked, deny wins.

        Example::

            @hookimpl
            def peerkit_register_trust_policies(self) -> Sequence[TrustPolicy]:
                return [self._deny_list]
        """
        ...

    @hookspec
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        """Offer protocols; each is agreed with every peer by the two Hellos.

        Example::

            @hookimpl
            def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
                return [ProtocolSpec("example.org/echo", "1.0.0", on_request=lambda request: request.payload)]
        """
        ...

    @hookspec
    def peerkit_register_discoveries(self) -> Sequence[Discovery]:
        """Offer sources of peers; the pool asks them while it has free outbound slots.

        Example::

            @hookimpl
            def peerkit_register_discoveries(self) -> Sequence[Discovery]:
                return [self]
        """
        ...

    @hookspec
    def peerkit_register_routines(self) -> Sequence[Routine]:
        """Offer jobs that the node repeats; they start after the node listens.

        Example::

            @hookimpl
            def peerkit_register_routines(self) -> Sequence[Routine]:
                return [Routine("example.sweep", self._sweep, interval_s=60)]
        """
        ...

    @hookspec
    def peerkit_register_operations(self) -> Sequence[Operation[RequestT]]:
        """Offer what a person can ask of the node; they appear on the command line and in the client by themselves.

        Example::

            @hookimpl
            def peerkit_register_operations(self) -> Sequence[Operation[Nothing]]:
                return [Operation("hello", Nothing, Greeting, self._hello, summary="Say hello")]
        """
        ...
