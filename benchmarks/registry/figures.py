"""The figures of a registry at one size, and how they are summed up."""

import statistics
from dataclasses import dataclass

P99 = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long calls took, in milliseconds."""

    median: float
    p99: float

    @classmethod
    def of(cls, milliseconds: list[float]) -> "Timing":
        """Sums up single calls."""
        return cls(median=statistics.median(milliseconds), p99=p99_of(milliseconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A registry at one size.

    Attributes:
        database: `PostgreSQL` or `SQLite`.
        cards: How many there are, and as many reviews.
        find: By the kind of question.
        all_found: Questions of all kinds together, each as often as another.
        publishes_per_second: Cards and reviews, half and half.
        database_bytes: On the disk, with all indexes.
        process_bytes: Of the registry's process, in memory.
    """

    database: str
    cards: int
    find: dict[str, Timing]
    all_found: Timing
    publishes_per_second: float
    database_bytes: int
    process_bytes: int


def p99_of(milliseconds: list[float]) -> float:
    """Returns what all but a hundredth stayed below; of fewer than a hundred, the longest."""
    return sorted(milliseconds)[min(int(P99 * len(milliseconds)), len(milliseconds) - 1)]
