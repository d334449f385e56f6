"""Why the client could not do what it was told. What a peer answers is never an error here: it is an observation.

PeerError
├── PeerUnreachableError   no connection came about
├── PeerTimeoutError       the budget of a wait ran out
├── PeerClosedError        the connection was over before the thing was done
└── StreamLimitError       the peer takes no more streams at once, and the manners say to heed that
"""

from __future__ import annotations


class PeerError(Exception):
    """Says why the client could not do what it was told."""


class PeerUnreachableError(PeerError):
    """No connection that speaks HTTP/2 came about."""


class PeerTimeoutError(PeerError):
    """What was waited for did not come within the budget."""


class PeerClosedError(PeerError):
    """The connection was over before the thing was done."""


class StreamLimitError(PeerError):
    """The peer takes no more streams at once."""
