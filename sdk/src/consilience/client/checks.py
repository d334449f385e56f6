"""Checks: what a verification says that it looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: What, in a few words.
        requirement: The requirement of the specification that it is about.
        passed: Whether it holds.
        explanation: What was found, for people.
    """

    name: str
    requirement: str
    passed: bool
    explanation: str
