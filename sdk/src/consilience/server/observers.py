"""Observers: how a node tells what it does, in numbers alone; a prompt or an answer is never among them.

The reference node exports these as Prometheus metrics.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from consilience.asks import Outcome, StopReason, Usage


class Observer(Protocol):
    """Is told of each ask, and of nobody who asks or pays.

    The methods are called on the event loop of the node, so they return at once.
    """

    def accepted(self, *, skill_id: str) -> None:
        """An ask was accepted: work begins."""

    def refused(self, *, method: str, reason: str) -> None:
        """A call was refused; `reason` is the name in the catalogue."""

    def first_delta(self, *, skill_id: str, delay: timedelta) -> None:
        """The first text of an answer was produced, this long after acceptance."""

    def finished(self, *, skill_id: str, outcome: Outcome, stop_reason: StopReason, usage: Usage) -> None:
        """An answer got its Final. `usage.duration` runs from acceptance."""

    def charged(self, *, skill_id: str, asset: str, amount: int) -> None:
        """A paid answer got its receipt, with this charge in units of the asset; `finished` follows."""


class SilentObserver:
    """Ignores everything: the default."""

    def accepted(self, *, skill_id: str) -> None:
        """Does nothing."""

    def refused(self, *, method: str, reason: str) -> None:
        """Does nothing."""

    def first_delta(self, *, skill_id: str, delay: timedelta) -> None:
        """Does nothing."""

    def finished(self, *, skill_id: str, outcome: Outcome, stop_reason: StopReason, usage: Usage) -> None:
        """Does nothing."""

    def charged(self, *, skill_id: str, asset: str, amount: int) -> None:
        """Does nothing."""
