"""Peerkit plugin: finds the peers on the same network by broadcast and multicast."""
