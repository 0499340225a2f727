"""What touches the wire: exchanges of datagrams and of HTTP, and a mapper of each protocol on them."""
