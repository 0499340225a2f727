"""Peerkit plugin: shares, fetches and verifies files by content id."""
