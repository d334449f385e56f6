"""Faults: what is wrong with a registry, told in words and held against nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from consilience.client.reviews.registries import Registry
from consilience.errors import ConsilienceError, LimitExceededError, NoRegistryError, TransportError
from consilience.reviews import Placed


class FaultKind(Enum):
    """What is wrong with a registry."""

    UNREACHABLE = "unreachable"
    """It did not answer, or not within the time of a call, or of the question."""
    NO_REGISTRY = "no registry"
    """It is a node that keeps no records, and its card does not say that it does."""
    BUSY = "busy"
    """It was asked too often from this address, and answers later."""
    REFUSING = "refusing"
    """It refused the question, or what others hold, or answered by none of the rules; or it says that it has something
    newer, or a succession, and does not show it."""
    INVALID = "invalid"
    """It served what does not hold, or does not fit: no registry admits it, whatever its clock (REC-READ-001)."""
    BEHIND = "behind"
    """It did not serve what others did, and has taken it in now; or it served something older, or what counts no more
    since the node has another root key."""
    SILENT = "silent"
    """It did not serve what it has."""
    PARTIAL = "read in part"
    """It has more that fits than is read of one registry, or broke off within it, or took more time than one question
    waits for a registry: what it did not serve is not held against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong with a registry.

    Attributes:
        registry: The one that it is.
        kind: What is wrong.
        detail: For people.
        digest: The record that shows it; empty: none does.
    """

    registry: str
    kind: FaultKind
    detail: str
    digest: bytes = b""

    def __str__(self) -> str:
        return f"{self.registry} is {self.kind.value}: {self.detail}"


def failed(registry: Registry, error: ConsilienceError) -> Fault:
    """Returns what a failed call shows."""
    match error:
        case TransportError():
            kind = FaultKind.UNREACHABLE
        case NoRegistryError():
            return Fault(registry=registry.name, kind=FaultKind.NO_REGISTRY, detail="it keeps no records")
        case LimitExceededError(retry_after=timedelta()):
            kind = FaultKind.BUSY
        case _:
            kind = FaultKind.REFUSING
    return Fault(registry=registry.name, kind=kind, detail=str(error))


def not_served(placed: Placed, *, registry: Registry, kind: FaultKind, words: str) -> Fault:
    """Returns the fault of a registry that did not serve a record; `words` go on behind its name."""
    detail = f"it did not serve the {name_of(placed)}, {words}"
    return Fault(registry=registry.name, kind=kind, detail=detail, digest=placed.place.digest)


def name_of(placed: Placed) -> str:
    """Returns what people know a record by."""
    return f"{placed.place.type.name.lower()} {placed.place.digest.hex()[:16]}"
