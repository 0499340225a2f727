"""The session, without I/O: frames, streams and credit (`mux`), the Hello, the record layer of ordered pipes."""
