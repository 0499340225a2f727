"""What the system's error numbers mean to a person.  The simulated network says the same words."""

import errno

_REASONS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "the other side reset the connection",
    errno.EPIPE: "the other side reset the connection",
    errno.ECONNABORTED: "connection aborted",
    errno.ETIMEDOUT: "connection timed out",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "no route to host",
    errno.EADDRINUSE: "the address is in use",
    errno.EADDRNOTAVAIL: "the address is not one of this machine",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EAFNOSUPPORT: "this machine does not speak that address family",
    errno.EMFILE: "this process has too many files open",
    errno.ENFILE: "this machine has too many files open",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than this system allows",
    errno.EROFS: "the disk is read-only",
}


def reason(exc: OSError) -> str:
    """A few words, without errno and without a full stop."""
    known = _REASONS.get(exc.errno or 0)
    return known or exc.strerror or str(exc) or type(exc).__name__
