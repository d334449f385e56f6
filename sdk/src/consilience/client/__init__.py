"""The client: ask nodes, read and resume answers, verify them (spec chapters 1 to 4).

>>> async with Client() as client:
...     result = await client.ask("What is a heisenbug?", node="cn1…@127.0.0.1:7341")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from consilience.client.asks import AnswerStream
from consilience.client.checks import Check
from consilience.client.client import Client
from consilience.client.exchanges import Exchange, verify
from consilience.client.questions import AskOptions
from consilience.client.results import AskResult
from consilience.client.tickets import HeldTicket

if TYPE_CHECKING:
    from consilience.client.payments import PaymentDesk, Wallet
    from consilience.client.reviews import FoundNodes, Opinions, ReviewDesk

__all__ = [
    "AnswerStream",
    "AskOptions",
    "AskResult",
    "Check",
    "Client",
    "Exchange",
    "FoundNodes",
    "HeldTicket",
    "Opinions",
    "PaymentDesk",
    "ReviewDesk",
    "Wallet",
    "verify",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a name of any type
    """Imports what has to do with money or with registries at its first use: a free ask does without."""
    if name in {"PaymentDesk", "Wallet"}:
        return getattr(import_module("consilience.client.payments"), name)
    if name in {"FoundNodes", "Opinions", "ReviewDesk"}:
        return getattr(import_module("consilience.client.reviews"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
