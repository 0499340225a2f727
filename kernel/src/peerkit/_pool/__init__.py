"""The pool's decisions, without I/O: slots, tie-break, back-off, admission of handshakes, the address book."""
