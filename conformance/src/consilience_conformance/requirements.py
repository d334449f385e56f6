"""The requirements of the specification: what a check can name, and the sentence that a report shows.

They are drawn from the pages (`docs/spec`) into `requirements.json`, which fits `requirements.schema.json`. Checks
name ids and hold no copied text.

>>> requirement("SIG-ENV-003").sentence
'A reader MUST refuse an envelope without a signature.'
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

Role = Literal["node", "client"]
"""Who is judged."""


class UnknownRequirementError(LookupError):
    """There is no requirement of this id; says which ones look alike."""

    def __init__(self, name: str, *, near: Iterable[str]) -> None:
        alike = ", ".join(near)
        hint = f"did you mean {alike}?" if alike else "`consilience-conformance list` shows them all"
        super().__init__(f"no requirement is named {name}; {hint}")
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One numbered rule.

    Attributes:
        id: `SIG-ENV-002`; never used for another rule.
        level: MUST, MUST NOT, SHOULD, SHOULD NOT or MAY.
        role: Who keeps it: node, client or both.
        profile: Where it holds: in every node (core), or in those of a profile.
        page: Name of the file in `docs/spec`.
        anchor: Of the heading that it stands under, as GitHub makes it.
        sentence: The rule, without what explains it; links are their texts.
    """

    id: str
    level: str
    role: str
    profile: str
    page: str
    anchor: str
    sentence: str

    @property
    def digest(self) -> str:
        """SHA-256 of the sentence in hexadecimal, by which a check notices that it was changed."""
        return hashlib.sha256(self.sentence.encode()).hexdigest()

    @property
    def is_must(self) -> bool:
        """True for MUST and MUST NOT: whoever breaks it fails."""
        return self.level in {"MUST", "MUST NOT"}

    def binds(self, role: Role) -> bool:
        """Returns whether nodes, or clients, have to keep it."""
        return self.role in {role, "both"}


def digest_of(requirements: Iterable[Requirement]) -> str:
    """Returns the digest of a set: two suites with the same digest judge by the same rules.

    It is SHA-256 over one line `id level role profile digest` and a line feed for each requirement, in the order of
    their ids and apart by one tab. Where a sentence stands is not part of it.
    """
    ordered = sorted(requirements, key=lambda requirement: requirement.id)
    lines = (f"{one.id}\t{one.level}\t{one.role}\t{one.profile}\t{one.digest}\n" for one in ordered)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def near_ids(name: str, *, known: Iterable[str]) -> list[str]:
    """Returns the ids that look like a name, the likeliest first, at most three."""
    return get_close_matches(name.upper(), list(known), n=3, cutoff=0.75)


@cache
def requirements() -> Mapping[str, Requirement]:
    """Returns all requirements by their ids, in the order of the pages."""
    listed = _content()["requirements"]
    drawn = (Requirement(**{key: value for key, value in entry.items() if key != "sha256"}) for entry in listed)
    return MappingProxyType({one.id: one for one in drawn})


def requirement(name: str) -> Requirement:
    """Returns the requirement of an id.

    Raises:
        UnknownRequirementError: There is none.
    """
    try:
        return requirements()[name]
    except KeyError:
        raise UnknownRequirementError(name, near=near_ids(name, known=requirements())) from None


@cache
def set_digest() -> str:
    """Returns the digest of all requirements that this suite knows, see `digest_of`."""
    return digest_of(requirements().values())


def _content() -> dict[str, Any]:
    text = (files("consilience_conformance") / "requirements.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
