"""Checks of clients: a driver that sends the client to nodes, a judge that reads what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from consilience_conformance.checks import Judge
from consilience_conformance.client_side.stage import ClientStage

Drive = Callable[[ClientStage], Awaitable[None]]
"""Acts through a stage, which writes the transcript. It decides nothing."""

DATA_CLASS = "data-class"
"""The user of the SDK says the class of a question."""
TRUSTED_NODES = "trusted-nodes"
"""The user of the SDK has a list of nodes that may read more than INTERNAL."""
GIVE_UP = "give-up"
"""The user of the SDK can leave an answer before its end."""

PAY = "pay"
"""The user of the SDK gives it a budget, and it pays for asks: the client is of the profile pay."""
REGISTRY = "registry"
"""The user of the SDK finds nodes in registries, reads what is said of them and reviews answers: the profile registry.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCheck:
    """One thing that is tried with a client.

    Attributes:
        name: In lower case with hyphens, for ever: `card-without-signature`.
        title: What a client that passes does, as a sentence.
        requirements: The ids of what it tests, one at least; the first is what it is about.
        drive: Acts.
        judge: Reads.
        after: Names of checks without whose success this one says nothing.
        needs: The capabilities that the client has to have.
    """

    name: str
    title: str
    requirements: tuple[str, ...]
    drive: Drive
    judge: Judge
    after: tuple[str, ...] = ("ask",)
    needs: tuple[str, ...] = ()
