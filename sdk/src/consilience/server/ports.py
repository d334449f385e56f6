"""Ports: whether an address can be listened on, and in words why not.

gRPC says only that it failed, and writes its own words to standard error; the system knows the reason.
"""

from __future__ import annotations

import errno
import os
import socket

from consilience.errors import UsageError
from consilience.nodes import NodeAddress


def require_free(listen: NodeAddress) -> None:
    """Checks that a `host:port` can be listened on now: one of the addresses that its host has is enough, as for gRPC.

    Raises:
        UsageError: It is in use, belongs to another machine, or may not be used by this user.
    """
    refusal: OSError | None = None
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # nobody knows the name, or it can be none
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot listen on {listen.authority}: {reason}") from None
    for family, kind, protocol, _, place in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                # As gRPC does: what is left of connections that ended lately is in nobody's way.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
        except OSError as error:
            refusal = refusal or error
        else:
            return
    if refusal is not None:
        raise UsageError(_words(refusal, authority=listen.authority)) from None


def _words(refusal: OSError, *, authority: str) -> str:
    if refusal.errno == errno.EADDRINUSE:
        return f"the address {authority} is in use: stop the process that listens there, or choose another port"
    reason = os.strerror(refusal.errno) if refusal.errno else str(refusal)
    return f"cannot listen on {authority}: {reason}"
