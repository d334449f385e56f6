"""What each mutant dies of is declared, by names that there are, and the kill table is the one that follows from it."""

from __future__ import annotations

import pytest

from consilience_conformance.cases import all_checks
from consilience_conformance.peers.degenerate import DEGENERATE, Degenerate
from consilience_conformance.requirements import requirements
from consilience_conformance.selftest.declarations import (
    Declaration,
    DeclarationError,
    Variant,
    declaration_complaints,
    declarations,
    read_declarations,
)
from consilience_node.mutants import mutants

ENTRY = """
[forgetful]
check = "ask"
requirement = "ASK-ANS-001"
message = "the answer"
"""
CHECKS = [check for check in all_checks() if check.name == "ask"]


def test_the_mutants_of_the_node_are_those_that_are_declared() -> None:
    complaints = [*declaration_complaints(declarations().values(), checks=all_checks(), known=mutants())]
    assert complaints == [], "\n".join(complaints)


def test_no_mutant_has_the_name_of_a_degenerate_node() -> None:
    assert not declarations().keys() & DEGENERATE.keys()


@pytest.mark.parametrize("one", [one for one in DEGENERATE.values() if one.check], ids=lambda one: one.name)
def test_a_degenerate_node_dies_by_what_there_is(one: Degenerate) -> None:
    declared = Declaration(name=one.name, check=one.check, requirement=one.requirement, message=one.message)
    assert list(declaration_complaints([declared], checks=all_checks())) == []
    assert one.requirement in requirements()


def test_an_entry_is_read_with_its_defaults() -> None:
    (read,) = read_declarations(ENTRY).values()
    assert read == Declaration(name="forgetful", check="ask", requirement="ASK-ANS-001", message="the answer")
    assert read.node is Variant.PLAIN


def test_an_entry_may_name_collateral_and_another_node() -> None:
    (read,) = read_declarations(ENTRY + 'also = ["one", "two"]\nnode = "durable"\n').values()
    assert (read.also, read.node) == (("one", "two"), Variant.DURABLE)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[", "no TOML"),
        ("forgetful = 1", "forgetful stands outside of a table"),
        (ENTRY.replace('check = "ask"', ""), "`check` is missing"),
        (ENTRY.replace('"the answer"', '" "'), "`message` is missing"),
        (ENTRY.replace('"ASK-ANS-001"', "3"), "`requirement` is missing or no text"),
        (ENTRY + 'node = "huge"', "`node` is one of plain, forgetful, durable, replicated, hasty, pinned"),
        (ENTRY + 'also = "ask"', "`also` is a list"),
        (ENTRY + "message_too = 1", "unknown keys: message_too"),
    ],
)
def test_an_entry_that_is_none_is_told(*, text: str, complaint: str) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        read_declarations(text)


def complaints(more: str = "", *, text: str = ENTRY, known: tuple[str, ...] | None = None) -> list[str]:
    return list(declaration_complaints(read_declarations(text + more).values(), checks=CHECKS, known=known))


def test_names_that_there_are_not_are_told() -> None:
    assert complaints() == []
    assert complaints('also = ["nonsense"]') == ["mutant forgetful names the check nonsense, which there is not"]
    assert complaints('also = ["ask"]') == ["mutant forgetful names ask twice"]
    other = ENTRY.replace("ASK-ANS-001", "SIG-HDR-001")
    assert complaints(text=other) == ["mutant forgetful dies by SIG-HDR-001, which ask does not test"]


def test_mutants_that_only_one_side_knows_are_told() -> None:
    assert complaints(known=("forgetful",)) == []
    assert complaints(known=()) == ["mutant forgetful is declared, and the node does not know it"]
    assert complaints(known=("forgetful", "new")) == ["mutant new is not declared in mutants.toml"]
