"""Peerkit plugin: finds shared files by words across the network."""
