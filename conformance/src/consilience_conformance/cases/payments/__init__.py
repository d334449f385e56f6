"""Payments (spec chapter 3), one module per topic, in the order of the specification."""

from __future__ import annotations

from consilience_conformance.cases.payments import (
    asks,
    banks,
    calls,
    chains,
    closing,
    crashes,
    deposits,
    escrow,
    meters,
    parallel,
    quoted_asks,
    quotes,
    receipts,
    sessions,
    terms,
    unpaid,
    vouchers,
    waits,
)

ROOMS = (
    calls,
    quotes,
    sessions,
    terms,
    deposits,
    escrow,
    banks,
    vouchers,
    asks,
    unpaid,
    quoted_asks,
    parallel,
    meters,
    waits,
    receipts,
    chains,
    closing,
)
"""The modules whose checks run among the others; those of `crashes` come last, as each stops the node."""

__all__ = ["ROOMS", "crashes"]
