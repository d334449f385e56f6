"""Faults in finding nodes: by cards that lost, in one registry alone, and with words that are nobody's business."""

import dataclasses
from typing import Any

from conformance.tests.client_side.faults.registry import fault, replace
from consilience.client.cards import Cards
from consilience.client.reviews import desk, finding
from consilience.client.reviews.desk import ReviewDesk
from consilience.client.reviews.registries import Registry
from consilience.client.tickets import HeldTicket

_NEAR: list[str] = []
"""The questions with which nodes were looked for, the last one last."""
_ASKED: list[bytes] = []
"""The digests of the asks for which there are tickets, the last one last."""


@fault("forgets-what-it-found")
def _forgets_what_it_found() -> None:
    async def all_of_them(_: Cards, cards: Any) -> Any:
        return tuple(cards)

    replace(Cards, "newest", lambda _: all_of_them)


@fault("asks-one-registry")
def _asks_one_registry() -> None:
    for module in (finding, desk):
        replace(module, "opened_registries", lambda opened: lambda *nodes, **rest: opened(*nodes, **rest)[:1])


@fault("looks-for-the-question")
def _looks_for_the_question() -> None:
    def make_find(find: Any) -> Any:
        def noting(*query: Any, near: str, **rest: Any) -> Any:
            _NEAR.append(near)
            return find(*query, near=near, **rest)

        return noting

    def make_cards(cards: Any) -> Any:
        return lambda self, query: cards(self, dataclasses.replace(query, text=_NEAR[-1]))

    replace(finding, "find", make_find)
    replace(Registry, "cards", make_cards)


@fault("names-the-ask-in-a-review")
def _names_the_ask_in_a_review() -> None:
    def make_held(of: Any) -> Any:
        def noting(_: type, accepted: Any, /, *, ask: Any, **rest: Any) -> Any:
            _ASKED.append(ask.digest)
            return of.__func__(HeldTicket, accepted, ask=ask, **rest)

        return classmethod(noting)

    def make_review(review: Any) -> Any:
        return lambda self, answer, **said: review(self, answer, **{**said, "comment": _ASKED[-1].hex()})

    replace(HeldTicket, "of", make_held)
    replace(ReviewDesk, "review", make_review)
