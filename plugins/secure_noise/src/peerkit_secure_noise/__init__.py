"""Peerkit plugin: the Noise handshake that proves a peer's identity."""
