"""What the process that the laboratory's nodes are forked from imports: the kernel and every plugin."""

from importlib.metadata import entry_points

from peerkit._cli import up  # noqa: F401 - it imports the kernel

for _point in entry_points(group="peerkit"):
    _point.load()
