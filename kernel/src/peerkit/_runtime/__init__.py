"""The running node: asyncio adapters around the pure parts."""
