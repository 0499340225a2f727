"""From a node to what a test of one plugin wants of it."""

from typing import TypeVar

from ..capabilities import Capability
from ..errors import NotFound
from ..node import Node

T = TypeVar("T")


def plugin_of(node: Node, name: str, kind: type[T]) -> T:
    """The object of an enabled plugin.  Raises `NotFound` when there is none of this class."""
    for built in node.host._built:
        if built.name == name and isinstance(built.obj, kind):
            return built.obj
    raise NotFound(f"the node runs no plugin {name} that is a {kind.__name__}")


def provided_by(node: Node, capability: Capability[T], plugin: str = "") -> T:
    """What plugins that require the capability get.

    Args:
        plugin: whose, where several may provide it.

    Raises:
        NotFound: nobody provides it.
    """
    for name, obj in node.host._board.providers(capability):
        if plugin in ("", name):
            return obj
    raise NotFound(f"{plugin or 'nobody on this node'} provides {capability.name}")
