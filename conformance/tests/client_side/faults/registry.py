"""The faults of broken clients, by name, and the one way in which they change the SDK; no node is imported for it."""

from collections.abc import Callable
from typing import Any

Apply = Callable[[], None]

FAULTS: dict[str, Apply] = {}


def fault(name: str) -> Callable[[Apply], Apply]:
    """Registers what brings a fault about, in this process and for good."""

    def register(apply: Apply) -> Apply:
        FAULTS[name] = apply
        return apply

    return register


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Puts what `make` returns for a function, a method or a constant in its place; there has to be one."""
    setattr(owner, name, make(owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)))
