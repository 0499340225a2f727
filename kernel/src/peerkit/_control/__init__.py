"""How the owner of a node talks to it: the registry of operations and the control socket that offers them."""
