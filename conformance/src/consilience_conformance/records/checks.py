"""Checks of registries: of nodes that keep records, and may have nobody who answers."""

from __future__ import annotations

from functools import partial

from consilience_conformance.checks import Check
from consilience_conformance.profiles import REGISTRY

PUBLISHED = ("records-are-taken-in",)
"""What all that is refused, or replaced, rests on."""

record_check = partial(Check, after=PUBLISHED, profile=REGISTRY, asks=False)
"""A check of registries, which asks nothing."""
