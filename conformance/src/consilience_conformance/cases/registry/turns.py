"""Turns (spec section 4.6): of those who fit, no node stands first whenever it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from consilience_conformance.envelopes import envelope_digest
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.findable_cards import FIND, marked, new_word
from consilience_conformance.records.made_up import MadeUpNode, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.rules.registries import STORED, came_to, found, pages
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_NODES, _QUESTIONS = 12, 32
"""On a ring on which keys lie by chance, one node is first 32 times out of 32 in one run of five hundred million.

Of `n` nodes and `k` questions that happens with the probability `n! k! / (n + k - 1)!`.
"""


async def _ask_again_and_again(stage: Stage) -> None:
    publisher, word = Publisher(stage), new_word()
    cards = [MadeUpNode.new().sealed_card(**marked(word, {})) for _ in range(_NODES)]  # type: ignore[arg-type]
    await asyncio.gather(*(publisher.publish(f"card {number}", record_of(card)) for number, card in enumerate(cards)))
    await asyncio.gather(*(publisher.found(f"question {number}", text=word) for number in range(_QUESTIONS)))


def _judge_who_is_first(seen: Transcript) -> Iterator[Finding]:
    for number in range(_NODES):
        yield from came_to(seen[f"card {number}"], STORED, requirement="REC-ADM-001")
    answers = [list(pages(seen, f"question {number}")) for number in range(_QUESTIONS)]
    for exchange in (page for answer in answers for page in answer):
        yield from was_accepted(exchange, requirement="REG-FIND-001")
    orders = [[envelope_digest(card) for card in found(answer)] for answer in answers]
    for number, order in enumerate(orders):
        if len(set(order)) != _NODES:
            yield Finding(
                requirement="REG-FIND-001",
                message="a question did not find all cards that fit",
                expected=str(_NODES),
                got=str(len(set(order))),
                exchange=f"question {number}",
            )
    first = {order[0] for order in orders if order}
    if len(first) == 1:
        yield Finding(
            requirement="REG-FIND-002",
            message="one node stands first whenever it is asked",
            expected=f"several of {_NODES} nodes that fit, each first of some of {_QUESTIONS} questions",
            got=f"the card {first.pop().hex()}, first of all",
            exchange="question 0",
        )


CHECKS = (
    record_check(
        name="nodes-take-turns-to-be-first",
        title="Of nodes that fit alike, not the same one is found first each time.",
        requirements=("REG-FIND-002", *FIND),
        drive=_ask_again_and_again,
        judge=_judge_who_is_first,
        after=("pages-of-cards-hold-each-once",),
    ),
)
