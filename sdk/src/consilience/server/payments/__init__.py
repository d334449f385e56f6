"""Payments at a node: what answers cost, how they are metered, and the nine methods of PaymentService (spec chapter 3).

`offers` and `quotes` say the price; `admission`, `metering` and `receipts` take it from an ask. The account that all of
them work on is the ledger of the store.
"""

from __future__ import annotations

from consilience.server.payments.offers import Circumstances, Formula, Hours, Offer, Payments

__all__ = ["Circumstances", "Formula", "Hours", "Offer", "Payments"]
