"""Mutants of records: what a registry takes in, and what it keeps (spec section 4.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consilience.reviews import PublishOutcome
from consilience.server.registry import statements
from consilience_node.mutants.registry import mutant, replace

Make = Callable[..., Any]


@mutant("known-records-are-stored-again")
def _known_records_are_stored_again() -> None:
    """A registry says of a record that it knows that it was taken in."""

    def forgetful(admit: Make) -> Make:
        def admitted(*arguments: Any, **more: Any) -> Any:
            outcomes = admit(*arguments, **more)
            return tuple(PublishOutcome.STORED if one is PublishOutcome.KNOWN else one for one in outcomes)

        return admitted

    replace(statements, "admit", forgetful)


@mutant("reviews-are-lost")
def _reviews_are_lost() -> None:
    """A registry says that it took a review in, and keeps nothing."""

    def losing(insert: Make) -> Make:
        def insert_but_reviews(connection: Any, placed: Any, **more: Any) -> None:
            if placed.place.type.name != "REVIEW":
                insert(connection, placed, **more)

        return insert_but_reviews

    replace(statements, "_insert", losing)
