"""The server toolkit: everything a node needs but the engine (spec chapters 1 and 2).

Write down a `Node`, give it skills, and run it; idempotency, the log of each answer, resumption, limits, cards, TLS and
the drain at the end come with it. It needs the extra: `pip install "consilience[server]"`.
"""

from __future__ import annotations

try:
    from consilience.server.node import Node
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] == "consilience":
        raise
    raise ModuleNotFoundError(
        f'the server toolkit needs {error.name}: pip install "consilience[server]"', name=error.name
    ) from error
from consilience.server.conclusions import Conclusion
from consilience.server.keys import RotatingKeys, succession, succession_record
from consilience.server.load import exceeded
from consilience.server.observers import Observer, SilentObserver
from consilience.server.registry.office import Registry
from consilience.server.serving import RunningNode
from consilience.server.skills import Check, Delta, Handler, IncomingAsk, Item
from consilience.server.terms import DEFAULT_LIMITS
from consilience.server.tls import Tls

__all__ = [
    "DEFAULT_LIMITS",
    "Check",
    "Conclusion",
    "Delta",
    "Handler",
    "IncomingAsk",
    "Item",
    "Node",
    "Observer",
    "Registry",
    "RotatingKeys",
    "RunningNode",
    "SilentObserver",
    "Tls",
    "exceeded",
    "succession",
    "succession_record",
]
