"""Profiles: TOML in layers, each setting checked and explained."""
