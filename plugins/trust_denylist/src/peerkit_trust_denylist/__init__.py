"""Peerkit plugin: refuses the peers and networks that its owner lists."""
