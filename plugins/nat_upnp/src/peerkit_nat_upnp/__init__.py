"""Peerkit plugin: asks the router for port mappings by PCP, NAT-PMP and UPnP IGD."""
