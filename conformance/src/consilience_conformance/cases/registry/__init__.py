"""Registries (spec chapter 4), one module per topic, in the order of the specification. None of them asks a skill."""

from __future__ import annotations

from consilience_conformance.cases.registry import (
    constraints,
    crashes,
    ends,
    envelopes,
    fetching,
    finding,
    following,
    keys,
    leaving,
    listing,
    obstacles,
    order,
    publishing,
    quotas,
    slots,
    successions,
    syncing,
    tickets,
    times,
    tokens,
    turns,
)

ROOMS = (
    publishing,
    envelopes,
    constraints,
    times,
    tickets,
    keys,
    successions,
    order,
    slots,
    quotas,
    ends,
    fetching,
    listing,
    tokens,
    finding,
    turns,
    leaving,
    syncing,
    following,
    obstacles,
)
"""The modules whose checks run among the others; those of `crashes` come last, as each stops the node."""

__all__ = ["ROOMS", "crashes"]
