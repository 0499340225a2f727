"""Peerkit plugin: moves sessions from a relay to a direct path, through the NATs between the two ends."""
