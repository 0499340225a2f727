"""What talks to the outside: sockets, requests, tasks."""
