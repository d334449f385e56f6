"""Checks: a driver that acts, a judge that reads what came of it, and what the two are about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from consilience_conformance.needs import Needs
from consilience_conformance.profiles import CORE
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

Drive = Callable[[Stage], Awaitable[None]]
"""Acts on a node through its stage, which writes the transcript. It decides nothing."""

Judge = Callable[[Transcript], Iterable[Finding]]
"""Says what is wrong in a transcript: a pure function, without clock, network or chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that is tried with a node.

    Attributes:
        name: In lower case with hyphens, for ever: `a-stranger-cannot-resume`.
        title: What a node that passes does, as a sentence.
        requirements: The ids of what it tests, one at least.
        drive: Acts.
        judge: Reads.
        after: Names of checks without whose success this one says nothing.
        needs: What it cannot do without.
        profile: Where it holds: `core`, `durable`, `pay`, `registry`, `conformance`.
        alone: No other check runs meanwhile, because it fills the node.
        callers: How many keys of the tester it takes at one time.
        asks: Whether it asks a skill of the node; the others judge nodes as well that have none.
    """

    name: str
    title: str
    requirements: tuple[str, ...]
    drive: Drive
    judge: Judge
    after: tuple[str, ...] = ("ask",)
    needs: Needs = Needs.NOTHING
    profile: str = CORE
    alone: bool = False
    callers: int = 1
    asks: bool = True
