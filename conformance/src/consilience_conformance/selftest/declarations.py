"""What each mutant dies of, as `mutants.toml` declares it, and what is wrong with such a declaration.

>>> declarations()["request-id-reused-ok"].requirement
'ASK-IDEM-002'
"""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from consilience_conformance.coverage import NamesRequirements

_KEYS = {"check", "requirement", "message", "also", "node"}


class Variant(enum.StrEnum):
    """How the reference node is started."""

    PLAIN = "plain"
    """Answers in memory, on plain loopback."""
    FORGETFUL = "forgetful"
    """The same, with a command that restarts it."""
    DURABLE = "durable"
    """Answers on disk, with a command that restarts it."""
    REPLICATED = "replicated"
    """Answers on disk, and a second replica that shares them."""
    HASTY = "hasty"
    """Plain, and work may go on for no more than a few seconds."""
    PINNED = "pinned"
    """TLS, with a certificate of its own."""
    PAID = "paid"
    """Plain, and paid by promises, also of the tester."""
    PAID_DURABLE = "paid-durable"
    """The same, with its sessions on disk and a command that restarts it."""
    PAID_BY_BANK = "paid-by-bank"
    """Paid, also at a bank that the judge plays."""
    PAID_IN_HASTE = "paid-in-haste"
    """Paid, by quotes that hold for a few seconds."""
    REGISTRY = "registry"
    """Keeps records on disk and has no skill, with a command that restarts it."""
    REGISTRY_AND_SKILLS = "registry-and-skills"
    """Plain, and keeps records on disk besides."""
    FOLLOWING = "following"
    """Keeps records on disk, has no skill, and follows a registry that the judge plays."""

    @property
    def has_skills(self) -> bool:
        """Whether there is anything to ask it, and so to let a tester in to."""
        return self not in {Variant.REGISTRY, Variant.FOLLOWING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a mutant dies of.

    Attributes:
        name: Of the mutant.
        check: The check that kills it.
        requirement: The id that its finding names.
        message: How the message of that finding begins.
        also: Other checks that fail with it, in every run.
        node: How the node is started.
    """

    name: str
    check: str
    requirement: str
    message: str
    also: tuple[str, ...] = ()
    node: Variant = Variant.PLAIN


class DeclarationError(Exception):
    """A declaration is not written as it has to be; the text says what to mend."""


@cache
def declarations() -> Mapping[str, Declaration]:
    """Returns the declarations of this suite by the names of the mutants, in the order of the file."""
    text = (files("consilience_conformance") / "selftest" / "mutants.toml").read_text(encoding="utf-8")
    return read_declarations(text)


def read_declarations(text: str) -> Mapping[str, Declaration]:
    """Returns the declarations of a TOML text by the names of the mutants.

    Raises:
        DeclarationError: It is no TOML, or lacks something, or has too much.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(f"mutants.toml is no TOML: {error}") from error
    return MappingProxyType({name: _declaration(name, table) for name, table in tables.items()})


def _declaration(name: str, table: object) -> Declaration:
    if not isinstance(table, dict):
        raise DeclarationError(f"{name} stands outside of a table in mutants.toml")
    if unknown := ", ".join(sorted(table.keys() - _KEYS)):
        raise DeclarationError(f"mutant {name} has unknown keys: {unknown}")
    also = table.get("also", [])
    if not (isinstance(also, list) and all(isinstance(one, str) and one for one in also)):
        raise DeclarationError(f"mutant {name}: `also` is a list of names of checks")
    try:
        node = Variant(table.get("node", Variant.PLAIN))
    except ValueError as error:
        raise DeclarationError(f"mutant {name}: `node` is one of {', '.join(Variant)}") from error
    return Declaration(
        name=name,
        check=_text(name, table, key="check"),
        requirement=_text(name, table, key="requirement"),
        message=_text(name, table, key="message"),
        also=tuple(also),
        node=node,
    )


def _text(name: str, table: Mapping[str, object], *, key: str) -> str:
    value = table.get(key)
    if not (isinstance(value, str) and value.strip()):
        raise DeclarationError(f"mutant {name}: `{key}` is missing or no text")
    return value


def declaration_complaints(
    declared: Iterable[Declaration], *, checks: Iterable[NamesRequirements], known: Iterable[str] | None = None
) -> Iterator[str]:
    """Yields what is wrong with declarations, before anything runs.

    Args:
        declared: Of all mutants.
        checks: All checks of nodes.
        known: The mutants that the node knows; None: they are not compared.
    """
    declared = tuple(declared)
    by_name = {check.name: check for check in checks}
    for one in declared:
        yield from _complaints_about(one, checks=by_name)
    if known is not None:
        names, known = {one.name for one in declared}, set(known)
        yield from (f"mutant {name} is declared, and the node does not know it" for name in sorted(names - known))
        yield from (f"mutant {name} is not declared in mutants.toml" for name in sorted(known - names))


def _complaints_about(one: Declaration, *, checks: Mapping[str, NamesRequirements]) -> Iterator[str]:
    for name in (one.check, *one.also):
        if name not in checks:
            yield f"mutant {one.name} names the check {name}, which there is not"
    if one.check in checks and one.requirement not in checks[one.check].requirements:
        yield f"mutant {one.name} dies by {one.requirement}, which {one.check} does not test"
    if one.check in one.also:
        yield f"mutant {one.name} names {one.check} twice"
