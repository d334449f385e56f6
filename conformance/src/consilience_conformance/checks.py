"""Checks: a driver that acts, a judge that reads what came of it, and what the two are about."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consilience_conformance.profiles import CORE
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

if TYPE_CHECKING:
    from consilience_conformance.stage import Stage

Drive = Callable[["Stage"], Awaitable[None]]
"""Acts on a node through its stage, which writes the transcript. It decides nothing."""

Judge = Callable[[Transcript], Iterable[Finding]]
"""Says what is wrong in a transcript: a pure function, without clock, network or chance."""


class Needs(enum.Flag):
    """What a check cannot do without, beyond an address."""

    NOTHING = 0
    SCRIPT = enum.auto()
    """The skill `conformance.script`, and a grant for it."""
    RESTART = enum.auto()
    """A command that restarts the node."""
    REPLICA = enum.auto()
    """The address of a second replica."""
    PRICE = enum.auto()
    """A skill that costs something, for which the run may pay; with `SCRIPT`, that skill is the scripted one."""
    ESCROW = enum.auto()
    """A rail with holds in escrow, of whose issuers the tester is one."""


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


class NotApplicableError(Exception):
    """Raised by a driver that finds that the card does not offer what the check is about; its text says what."""


class UntestableError(Exception):
    """Raised by a driver that cannot bring about what the check is about; its text says what to change."""
