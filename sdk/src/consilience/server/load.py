"""Load: how many asks a node works on at one time, counted for the node, for each skill and for each caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from consilience.errors import LimitExceeded, LimitExceededError
from consilience.nodes import Limits, Skill
from consilience.server.rates import Allowance, CallRate
from consilience.units import PublicKey

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place among the running asks, held from before the first `await` of an admission to the Final."""

    caller: PublicKey
    skill_id: str


@dataclass(slots=True)
class Load:
    """Counts the running asks of a node against the limits of its card and of its skills."""

    _total: int = 0
    _by_caller: Counter[PublicKey] = field(default_factory=Counter)
    _by_skill: Counter[str] = field(default_factory=Counter)
    _by_both: Counter[Place] = field(default_factory=Counter)

    @property
    def running(self) -> int:
        """How many asks the node works on."""
        return self._total

    def take(self, caller: PublicKey, *, skill: Skill, limits: Limits) -> Place:
        """Takes a place.

        Args:
            caller: Who asks.
            skill: What is asked; its own limits count its own asks.
            limits: Those of the card.

        Raises:
            LimitExceededError: `max_running_asks` or `max_running_asks_per_caller` is reached.
        """
        place = Place(caller=caller, skill_id=skill.id)
        _check("max_running_asks", limits.max_running_asks, self._total)
        _check("max_running_asks_per_caller", limits.max_running_asks_per_caller, self._by_caller[caller])
        if (own := skill.limits) is not None:
            _check("max_running_asks", own.max_running_asks, self._by_skill[skill.id])
            _check("max_running_asks_per_caller", own.max_running_asks_per_caller, self._by_both[place])
            self._by_both[place] += 1
        self._total += 1
        self._by_caller[caller] += 1
        self._by_skill[skill.id] += 1
        return place

    def give_back(self, place: Place) -> None:
        """Gives a place back."""
        self._total -= 1
        decrement(self._by_caller, place.caller)
        decrement(self._by_skill, place.skill_id)
        decrement(self._by_both, place)


def exceeded(limit: str, *, maximum: int, requested: int, retry_after: timedelta | None = None) -> LimitExceededError:
    """Returns the refusal of a call that goes over a limit (ASK-LIM-001).

    Args:
        limit: The name of the field in `Limits`.
        maximum: The limit, in the unit of the field; milliseconds for a duration.
        requested: What the call asked for, in the same unit.
        retry_after: When it may be tried again, if time alone makes room.
    """
    detail = LimitExceeded(limit=limit, maximum=maximum, requested=requested)
    return LimitExceededError(
        f"{limit} is {maximum} here, and the call needs {requested}", detail=detail, retry_after=retry_after
    )


def count_call(rate: CallRate | Allowance, caller: bytes, *, limit: str, now: datetime) -> None:
    """Counts a call of somebody who may call so often.

    Args:
        rate: How often.
        caller: Its key, or its address.
        limit: Names the bound in the refusal.
        now: Aware UTC.

    Raises:
        LimitExceededError: It is one too many; with when to come again.
    """
    if wait := rate.take(caller, now=now):
        raise exceeded(limit, maximum=rate.per_minute, requested=rate.per_minute + 1, retry_after=wait)


def _check(limit: str, maximum: int, running: int) -> None:
    if maximum and running >= maximum:
        raise exceeded(limit, maximum=maximum, requested=running + 1)


def decrement(counter: Counter[Key], key: Key) -> None:
    """Counts one less, and forgets what comes to nothing."""
    if counter[key] <= 1:
        # An entry for every caller that ever asked would be a leak.
        del counter[key]
    else:
        counter[key] -= 1
