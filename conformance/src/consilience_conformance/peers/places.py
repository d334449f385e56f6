"""Places: addresses on this machine at which the judge plays somebody whom a node calls."""

from __future__ import annotations

_LOOPBACK = ("127.0.0.1", "localhost")


class PlaceError(Exception):
    """Nobody can be played there; the text says what to mend."""


def port_of(address: str) -> int:
    """Returns the port of an address `HOST:PORT` on this machine.

    Raises:
        PlaceError: It is none.
    """
    host, _, port = address.rpartition(":")
    if host not in _LOOPBACK or not (port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise PlaceError(f"{address!r} is no address at which the judge can be called: write '127.0.0.1:7349'")
    return int(port)
