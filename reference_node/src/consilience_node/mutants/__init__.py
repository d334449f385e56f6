"""Mutants: a node with one small fault, by which the judge is judged: `consilience-node serve --mutant NAME`.

Nothing that serves imports this room; the command does, when it is told to. Each mutant changes one thing in one place
of the running program, and its name says which. What it dies of stands with the judge, in `selftest/mutants.toml`.
"""

from __future__ import annotations

from consilience_node.mutants import (
    answers,
    asks,
    cards,
    charges,
    connections,
    durable,
    envelopes,
    finding,
    following,
    found_prices,
    headers,
    load,
    payouts,
    prices,
    rails,
    records,
    refusals,
    registries,
    reviews,
    script_texts,
    scripts,
    sessions,
    slots,
    stops,
    streams,
)
from consilience_node.mutants.registry import Mutant, UnknownMutantError, registered

__all__ = ["Mutant", "UnknownMutantError", "apply_mutant", "mutants"]

_ROOMS = (
    envelopes,
    cards,
    connections,
    headers,
    asks,
    streams,
    answers,
    load,
    stops,
    prices,
    sessions,
    charges,
    payouts,
    rails,
    reviews,
    records,
    slots,
    registries,
    finding,
    found_prices,
    following,
    scripts,
    script_texts,
    durable,
    refusals,
)


def apply_mutant(name: str) -> Mutant:
    """Makes this process the mutant of a name.

    Raises:
        UnknownMutantError: There is none; says which ones look alike.
    """
    known = mutants()
    if name not in known:
        raise UnknownMutantError(name, known=known)
    known[name].apply()
    return known[name]


def mutants() -> dict[str, Mutant]:
    """Returns all mutants by name, in the order of the specification."""
    return {mutant.name: mutant for room in _ROOMS for mutant in registered(room.__name__)}
