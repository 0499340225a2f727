"""What touches the loop, the sockets and the web."""
