"""Peerkit plugin: learns from peers where the node is seen, and whether strangers reach it."""
