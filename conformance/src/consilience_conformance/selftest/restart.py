"""The command that restarts a specimen: it asks whoever started it, over a socket, and tells how that went.

Run as `python -m consilience_conformance.selftest.restart SOCKET`; exits with 1 where the node does not serve again.
"""

from __future__ import annotations

import socket
import sys


def restart(path: str) -> str:
    """Asks for the restart and waits for its end; returns what went wrong, or nothing."""
    said = b""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        while piece := asking.recv(4096):
            said += piece
    return said.decode(errors="replace")


if __name__ == "__main__":
    sys.exit(restart(sys.argv[1]) or 0)
