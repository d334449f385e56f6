"""The registry of mutants, and the one way in which they change the program."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

_REGISTERED: dict[str, list[Mutant]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One fault.

    Attributes:
        name: In lower case with hyphens: `double-terminal`.
        fault: What the node does wrong, as a sentence.
        apply: Brings the fault about, in this process and for good.
    """

    name: str
    fault: str
    apply: Callable[[], None]


class UnknownMutantError(LookupError):
    """There is no mutant of this name; says which ones look alike."""

    def __init__(self, name: str, *, known: Iterable[str]) -> None:
        near = ", ".join(get_close_matches(name, list(known), n=3)) or ", ".join(known)
        super().__init__(f"there is no mutant {name!r}; did you mean: {near}")
        self.name = name


def mutant(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Returns a decorator that registers the function that brings a fault about; its docstring says what it is."""

    def register(apply: Callable[[], None]) -> Callable[[], None]:
        fault = " ".join((apply.__doc__ or "").split())
        _REGISTERED.setdefault(apply.__module__, []).append(Mutant(name=name, fault=fault, apply=apply))
        return apply

    return register


def registered(module: str) -> tuple[Mutant, ...]:
    """Returns the mutants of a module, in their order."""
    return tuple(_REGISTERED.get(module, ()))


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Puts something else in the place of a function, a method or a constant.

    Args:
        owner: The module or class that has it.
        name: Its name there.
        make: Gets what stands there and returns what is to stand there.

    Raises:
        AttributeError: There is nothing of that name: the program has changed, and the mutant has to follow.
    """
    setattr(owner, name, make(owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)))
