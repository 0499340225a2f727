"""Peerkit plugin: sessions over TCP, with TLS by one switch."""
