"""The checks of clients, one module per subject, in the order of the specification."""

from __future__ import annotations

import functools

from consilience_conformance.client_side.cases import (
    answers,
    asks,
    cards,
    classes,
    deposits,
    endings,
    finding,
    history,
    logs,
    meters,
    opinions,
    quotes,
    rebuttals,
    receipts,
    refunds,
    reviews,
    statements,
    successions,
    tickets,
    transport,
    withdrawals,
)
from consilience_conformance.client_side.checks import ClientCheck

_MODULES = (
    asks,
    cards,
    history,
    transport,
    classes,
    logs,
    answers,
    quotes,
    deposits,
    withdrawals,
    meters,
    receipts,
    refunds,
    tickets,
    reviews,
    opinions,
    endings,
    rebuttals,
    statements,
    successions,
    finding,
)


def modules() -> tuple[tuple[ClientCheck, ...], ...]:
    """Returns the checks by subject."""
    return tuple(module.CHECKS for module in _MODULES)


@functools.cache
def all_client_checks() -> tuple[ClientCheck, ...]:
    """Returns every check of clients; what one comes after stands before it."""
    return tuple(check for module in modules() for check in module)
