"""Ports: addresses that the judge and a node can be told of before either serves there."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"

_PORTS = range(20_000, 32_000)
"""Below those that systems hand out to whoever connects, so that none of these takes it in the meantime."""


def free_address() -> str:
    """Returns `host:port` on loopback where nothing is served."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as one:
            try:
                one.bind((LOOPBACK, port))
            except OSError:
                continue
            return f"{LOOPBACK}:{port}"
