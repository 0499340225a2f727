"""Peerkit plugin: reaches peers behind NATs over a third node, which sees nothing but sealed packets."""
