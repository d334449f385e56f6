"""Terms: the limits and lifetimes that a node states where its developer states none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from consilience.errors import UsageError
from consilience.nodes import MAX_SIGNING_KEY_LIFETIME, Limits

DEFAULT_LIMITS = Limits(
    max_message_bytes=4 * 1024 * 1024,
    max_turns=64,
    max_input_bytes=1024 * 1024,
    max_running_asks=256,
    max_running_asks_per_caller=64,
    max_run_time=timedelta(minutes=10),
    answer_retention=timedelta(hours=1),
    max_readers_per_answer=64,
)
"""The limits of a node that states none; those on tokens are its skills' to state."""


def completed_limits(limits: Limits, *, quotes_per_minute: int | None) -> Limits:
    """Returns limits of which each is set, by those of a node that states none.

    Args:
        limits: As they were written down; zero: not at all.
        quotes_per_minute: How many prices a caller may ask for in a minute; None: there are none.
    """
    own = Limits(**{name: getattr(limits, name) or getattr(DEFAULT_LIMITS, name) for name in Limits.__slots__})
    return own if quotes_per_minute is None else replace(own, max_quotes_per_minute=quotes_per_minute)


def covered_lifetime(card_lifetime: timedelta, *, max_run_time: timedelta) -> timedelta:
    """Returns a lifetime of cards, each of which covers the last answer to an ask that relies on it (ASK-ANS-001).

    Raises:
        UsageError: A signing key lives shorter than that and the longest run together.
    """
    longest = MAX_SIGNING_KEY_LIFETIME - max_run_time
    if not timedelta(0) < card_lifetime <= longest:
        raise UsageError(f"card_lifetime lies between 0 and {longest}: with max_run_time, what a signing key lives")
    return card_lifetime
