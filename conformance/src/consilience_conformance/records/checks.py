"""Checks of registries: of nodes that keep records, and may have nobody who answers."""

from __future__ import annotations

from consilience_conformance.checks import Check, Drive, Judge
from consilience_conformance.needs import Needs
from consilience_conformance.profiles import REGISTRY

PUBLISHED = ("records-are-taken-in",)
"""What all that is refused, or replaced, rests on."""


def record_check(
    name: str,
    *,
    title: str,
    requirements: tuple[str, ...],
    drive: Drive,
    judge: Judge,
    after: tuple[str, ...] = PUBLISHED,
    needs: Needs = Needs.NOTHING,
    alone: bool = False,
) -> Check:
    """Returns a check of registries, which asks nothing; see `Check` for each argument."""
    return Check(
        name=name,
        title=title,
        requirements=requirements,
        drive=drive,
        judge=judge,
        after=after,
        needs=needs,
        profile=REGISTRY,
        alone=alone,
        asks=False,
    )
