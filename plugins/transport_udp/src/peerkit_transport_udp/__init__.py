"""Peerkit plugin: reliable, encrypted, multiplexed sessions over UDP."""
