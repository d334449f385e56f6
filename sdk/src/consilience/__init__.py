"""Consilience: ask the network of language models, and serve a node of it.

The package is lazy: a name is imported when it is first used, because importing `consilience.v1` runs this file.

>>> from consilience import Client
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consilience.client import AnswerStream, AskResult, Client
    from consilience.errors import (
        ConsilienceError,
        ProtocolError,
        RefusedError,
        TransportError,
        UsageError,
    )
    from consilience.identity import KeyPair
    from consilience.nodes import DataClass

__version__ = "0.1.0"

_HOME = {
    "AnswerStream": "consilience.client",
    "AskResult": "consilience.client",
    "Client": "consilience.client",
    "ConsilienceError": "consilience.errors",
    "DataClass": "consilience.nodes",
    "KeyPair": "consilience.identity",
    "ProtocolError": "consilience.errors",
    "RefusedError": "consilience.errors",
    "TransportError": "consilience.errors",
    "UsageError": "consilience.errors",
}

__all__ = [
    "AnswerStream",
    "AskResult",
    "Client",
    "ConsilienceError",
    "DataClass",
    "KeyPair",
    "ProtocolError",
    "RefusedError",
    "TransportError",
    "UsageError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
