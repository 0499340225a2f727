"""The only place where the kernel touches the system: sockets, disk, threads, clocks.

`SystemPlatform` is the `Platform` of a real node.
"""
