"""What is wrong between requirements, checks and exclusions: a judge that forgets a rule is no judge.

Pure functions that return complaints, so that a test can show each of them; none means all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from consilience_conformance.requirements import Requirement, Role, near_ids

REVIEW_COMMAND = "python -m scripts.review_requirements"
"""Records that the checks of the ids after it fit their sentences."""


class NamesRequirements(Protocol):
    """A check, as far as this module cares."""

    @property
    def name(self) -> str:
        """The name by which it is run."""

    @property
    def requirements(self) -> tuple[str, ...]:
        """The ids of the requirements that it tests."""


def coverage_complaints(
    requirements: Mapping[str, Requirement],
    *,
    role: Role,
    checks: Iterable[NamesRequirements],
    exclusions: Mapping[str, str],
    open_parts: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Returns what is wrong with the checks of nodes, or of clients.

    Args:
        requirements: All of them, by id.
        role: Who is judged.
        checks: Those that judge it.
        exclusions: The MUSTs that none of them can test, with the reasons.
        open_parts: The MUSTs of which they leave something open, with what it is.
    """
    checks = tuple(checks)
    tested = {name for check in checks for name in check.requirements}
    return [
        *_of_checks(checks, requirements=requirements, role=role),
        *_of_exclusions(exclusions, requirements=requirements, role=role, tested=tested),
        *_of_open_parts(open_parts, requirements=requirements, role=role, tested=tested),
        *(
            f"{one.id} is a MUST for a {role} that is neither tested nor excluded with a reason: {one.sentence}"
            for one in requirements.values()
            if one.is_must and one.binds(role) and one.id not in tested | exclusions.keys()
        ),
    ]


def review_complaints(
    requirements: Mapping[str, Requirement], *, checks: Iterable[NamesRequirements], reviewed: Mapping[str, str]
) -> list[str]:
    """Returns the requirements whose sentences are not those that their checks were last held against.

    Args:
        requirements: All of them, by id.
        checks: All checks, of nodes and of clients.
        reviewed: By id, the digest of the sentence when its checks were last reviewed.
    """
    checks = tuple(checks)
    complaints = []
    for name, one in requirements.items():
        if reviewed.get(name) == one.digest:
            continue
        what = "has changed since its checks were reviewed" if name in reviewed else "was never reviewed"
        named = ", ".join(check.name for check in checks if name in check.requirements) or "none yet"
        complaints.append(f"{name} {what}: {one.sentence} Its checks: {named}. Then: {REVIEW_COMMAND} {name}")
    gone = (name for name in reviewed if name not in requirements)
    return [*complaints, *(f"{name} is no requirement any more. Then: {REVIEW_COMMAND} {name}" for name in gone)]


def _of_checks(
    checks: Iterable[NamesRequirements], *, requirements: Mapping[str, Requirement], role: Role
) -> Iterable[str]:
    for check in checks:
        if not check.requirements:
            yield f"check {check.name} names no requirement"
        for name in check.requirements:
            if name not in requirements:
                yield f"check {check.name} names {_unknown(name, requirements)}"
            elif not requirements[name].binds(role):
                yield f"check {check.name} judges a {role} by {name}, which does not bind it"


def _of_exclusions(
    exclusions: Mapping[str, str], *, requirements: Mapping[str, Requirement], role: Role, tested: set[str]
) -> Iterable[str]:
    for name, reason in exclusions.items():
        if name not in requirements:
            yield f"the exclusions name {_unknown(name, requirements)}"
        elif not (requirements[name].is_must and requirements[name].binds(role)):
            yield f"{name} is excluded and is no MUST for a {role}: nothing is to be excused"
        if name in tested:
            yield f"{name} is excluded and is tested: take it out of the exclusions"
        if not reason.strip():
            yield f"{name} is excluded without a reason"


def _of_open_parts(
    open_parts: Mapping[str, str], *, requirements: Mapping[str, Requirement], role: Role, tested: set[str]
) -> Iterable[str]:
    for name, part in open_parts.items():
        if name not in requirements:
            yield f"the open parts name {_unknown(name, requirements)}"
        elif not (requirements[name].is_must and requirements[name].binds(role)):
            yield f"a part of {name} is left open, which is no MUST for a {role}"
        elif name not in tested:
            yield f"a part of {name} is left open, and nothing of it is tested: exclude it"
        if not part.strip():
            yield f"a part of {name} is left open, and nobody says which"


def _unknown(name: str, requirements: Mapping[str, Requirement]) -> str:
    alike = ", ".join(near_ids(name, known=requirements))
    return f"{name}, which is no requirement" + (f"; did you mean {alike}?" if alike else "")
