"""Peerkit plugin: finds peers and records in a Kademlia hash table."""
