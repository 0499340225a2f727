"""Benchmarks: Peerkit beside its peers, in one run, as ratios.  `make bench`, or `python -m bench NAME…`."""
