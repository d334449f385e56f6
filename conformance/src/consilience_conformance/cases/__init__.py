"""The checks, one module per subject, in the order of the specification.

Each module ends with `CHECKS`, a tuple. A name is for ever; a check that changes its meaning gets another one.
"""

from __future__ import annotations

import functools

from consilience_conformance.cases import (
    admission,
    answers,
    basics,
    connections,
    constraints,
    durable,
    envelopes,
    headers,
    idempotency,
    load,
    nodes,
    order,
    ownership,
    payments,
    refusals,
    refused_cancels,
    registry,
    scripts,
    stops,
    streams,
    texts,
    tickets,
)
from consilience_conformance.checks import Check

_MODULES = (
    basics,
    envelopes,
    headers,
    constraints,
    admission,
    order,
    idempotency,
    refusals,
    nodes,
    streams,
    texts,
    answers,
    stops,
    refused_cancels,
    connections,
    ownership,
    load,
    scripts,
    *payments.ROOMS,
    tickets,
    *registry.ROOMS,
    durable,
    payments.crashes,
    registry.crashes,
)


@functools.cache
def all_checks() -> tuple[Check, ...]:
    """Returns every check, in the order of the specification."""
    return tuple(check for module in _MODULES for check in module.CHECKS)


@functools.cache
def near(name: str) -> tuple[str, ...]:
    """Returns the names of the checks of one subject, by the name of one of them.

    Raises:
        LookupError: There is no check of that name.
    """
    for module in _MODULES:
        names = tuple(check.name for check in module.CHECKS)
        if name in names:
            return names
    raise LookupError(f"there is no check {name}")
