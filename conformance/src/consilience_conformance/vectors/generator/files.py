"""All files of vectors, in the order of the chapters of the specification."""

from __future__ import annotations

from consilience_conformance.vectors.generator import (
    cards,
    envelopes,
    errors,
    exchanges,
    headers,
    node_ids,
    receipts,
    records,
    slots,
    tariffs,
    tickets,
    transcripts,
)
from consilience_conformance.vectors.generator.layout import VectorFile


def all_files() -> list[VectorFile]:
    """Makes every file."""
    makers = (
        envelopes,
        headers,
        node_ids,
        cards,
        transcripts,
        exchanges,
        tariffs,
        receipts,
        tickets,
        records,
        slots,
        errors,
    )
    return [maker.make() for maker in makers]
