"""Consilience: ask the network of language models, and serve a node of it.

The package is lazy: a name is imported when it is first used, because importing `consilience.v1` runs this file.

>>> from consilience import Client
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consilience.client import AnswerStream, AskResult, Client, Wallet
    from consilience.errors import (
        BudgetExceededError,
        ConsilienceError,
        ProtocolError,
        RefusedError,
        TransportError,
        UsageError,
    )
    from consilience.identity import KeyPair
    from consilience.nodes import DataClass
    from consilience.payments import Amount, Budget

__version__ = "0.1.0"

_HOME = {
    "Amount": "consilience.payments",
    "AnswerStream": "consilience.client",
    "AskResult": "consilience.client",
    "Budget": "consilience.payments",
    "BudgetExceededError": "consilience.errors",
    "Client": "consilience.client",
    "ConsilienceError": "consilience.errors",
    "DataClass": "consilience.nodes",
    "KeyPair": "consilience.identity",
    "ProtocolError": "consilience.errors",
    "RefusedError": "consilience.errors",
    "TransportError": "consilience.errors",
    "UsageError": "consilience.errors",
    "Wallet": "consilience.client",
}

__all__ = [
    "Amount",
    "AnswerStream",
    "AskResult",
    "Budget",
    "BudgetExceededError",
    "Client",
    "ConsilienceError",
    "DataClass",
    "KeyPair",
    "ProtocolError",
    "RefusedError",
    "TransportError",
    "UsageError",
    "Wallet",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
