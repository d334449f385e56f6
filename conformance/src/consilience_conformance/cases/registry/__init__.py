"""Registries (spec chapter 4), one module per topic, in the order of the specification. None of them asks a skill."""

from __future__ import annotations

from consilience_conformance.cases.registry import publishing

ROOMS = (publishing,)
"""The modules whose checks run among the others."""

__all__ = ["ROOMS"]
