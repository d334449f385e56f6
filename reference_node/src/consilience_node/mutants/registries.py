"""Mutants of registries: how records are served, found and passed on (spec sections 4.5 to 4.7)."""

from __future__ import annotations
