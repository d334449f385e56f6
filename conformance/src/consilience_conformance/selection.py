"""Selection: which checks `--only` means, with all that they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Protocol, TypeVar

from consilience_conformance.exclusions import EXCLUSIONS
from consilience_conformance.requirements import Role, requirements
from consilience_conformance.verdicts import Demand


class Selectable(Protocol):
    """A check, of nodes or of clients, as far as this module cares."""

    @property
    def name(self) -> str:
        """The name by which it is run."""

    @property
    def requirements(self) -> tuple[str, ...]:
        """The ids of what it tests."""

    @property
    def after(self) -> tuple[str, ...]:
        """The names of those that it rests on."""


CheckT = TypeVar("CheckT", bound=Selectable)


class UnknownNameError(LookupError):
    """A name is neither that of a check nor that of a requirement; says which ones look alike."""


class NoCheckError(LookupError):
    """A requirement is tested by no check; says why."""


def selected(checks: Sequence[CheckT], *, only: Iterable[str], role: Role = "node") -> tuple[CheckT, ...]:
    """Returns the checks that are named, by themselves or by a requirement, and those that they come after.

    Args:
        checks: All of them, in the order in which they are reported.
        only: Names of checks and ids of requirements; none: all checks.
        role: Whom they judge.

    Raises:
        UnknownNameError: A name is neither.
        NoCheckError: A requirement has no check.
    """
    wanted = {check.name for name in only for check in named(checks, name=name, role=role)}
    if not wanted:
        return tuple(checks)
    by_name = {check.name: check for check in checks}
    waiting = list(wanted)
    while waiting:
        before = set(by_name[waiting.pop()].after) - wanted
        wanted |= before
        waiting += before
    return tuple(check for check in checks if check.name in wanted)


def demanded(checks: Sequence[CheckT], *, only: Iterable[str], role: Role = "node") -> tuple[Demand, ...]:
    """Returns what has to be judged for each name, without what is taken along; raises what `selected` raises."""
    return tuple(
        Demand(name=name, checks=tuple(check.name for check in named(checks, name=name, role=role))) for name in only
    )


def named(checks: Sequence[CheckT], *, name: str, role: Role = "node") -> tuple[CheckT, ...]:
    """Returns the check of a name, or those that test the requirement of an id.

    Raises:
        UnknownNameError: It is neither.
        NoCheckError: The requirement has no check.
    """
    by_name = tuple(check for check in checks if check.name == name.lower())
    if by_name:
        return by_name
    identifier = name.upper()
    if identifier not in requirements():
        known = [*(check.name for check in checks), *requirements()]
        near = {*get_close_matches(name.lower(), known, n=3), *get_close_matches(identifier, known, n=3)}
        hint = f"did you mean {' or '.join(sorted(near))}?" if near else "`consilience-conformance list` shows them all"
        raise UnknownNameError(f"there is no check and no requirement {name}; {hint}")
    found = tuple(check for check in checks if identifier in check.requirements)
    if not found:
        raise NoCheckError(f"no check of {role}s tests {identifier}: {_reason(identifier, role=role)}")
    return found


def _reason(identifier: str, *, role: Role) -> str:
    one = requirements()[identifier]
    if not one.binds(role):
        other, command = ("clients", "client") if role == "node" else ("nodes", "run")
        return f"it binds {other}, which `consilience-conformance {command}` judges"
    return EXCLUSIONS[role].get(identifier) or "there is none yet"
