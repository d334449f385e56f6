"""Findable cards: nodes that are made up to be found by some questions and not by others (spec section 4.6).

A registry holds cards of others as well, and a check does not know them. So each card of a check bears a word that
nobody else can know, and every question asks for that word besides: then what has to be found is known to the card.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from consilience.v1 import node_pb2
from consilience_conformance.checks import Check
from consilience_conformance.envelopes import envelope_digest
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.made_up import MadeUpNode, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.rules.registries import STORED, came_to, found, pages, published
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_AFTER = ("records-are-taken-in",)
FIND = ("REG-FIND-001", "REC-ADM-001")

Changes = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and who fits.

    Attributes:
        name: What findings call it: `law`.
        asks: Fields of a `FindNodesRequest`; `text` gets the word of the check besides.
        finds: The names of the cards that fit, and of no others.
    """

    name: str
    asks: Changes
    finds: tuple[str, ...]


def skill(**fields: object) -> Changes:
    """Returns the change of a card that gives it one skill, with these fields and the usual others."""
    return {"skills": [skill_with(**fields)]}


def skill_with(**fields: object) -> node_pb2.Skill:
    """Returns a free skill for nobody's questions, with these fields."""
    usual: dict[str, object] = {"id": "made.up", "domains": ["conformance"], "languages": ["en"]}
    return node_pb2.Skill(**{**usual, **fields})  # type: ignore[arg-type]


def marked(word: str, changes: Changes) -> Changes:
    """Returns the changes of a card that bears a word in its description, before what stands there."""
    return {**changes, "description": f"{word} {changes.get('description', '')}".strip()}


def new_word() -> str:
    """Returns a word that is nobody else's."""
    return f"w{secrets.token_hex(12)}"


def find_check(
    name: str, *, title: str, cards: Mapping[str, Changes], questions: tuple[Question, ...], page_size: int = 0
) -> Check:
    """Returns the check that some cards are found by questions, each once, and others are not.

    Args:
        name: Of the check.
        title: Of the check.
        cards: By name, what of each card is otherwise than of one that is made up anyhow.
        questions: Each is asked to its last page.
        page_size: Of the pages.
    """

    async def drive(stage: Stage) -> None:
        publisher, word = Publisher(stage), new_word()
        await asyncio.gather(*(_publish(publisher, one, word=word, changes=cards[one]) for one in cards))
        for question in questions:
            text = f"{question.asks.get('text', '')} {word}".strip()
            await publisher.found(question.name, **{**question.asks, "text": text}, page_size=page_size)

    def judge(seen: Transcript) -> Iterator[Finding]:
        for one in cards:
            yield from came_to(seen[f"card {one}"], STORED, requirement="REC-ADM-001")
        for question in questions:
            yield from found_findings(seen, question, cards=tuple(cards))

    return record_check(
        name=name,
        title=title,
        requirements=FIND,
        drive=drive,
        judge=judge,
        after=_AFTER,
    )


async def _publish(publisher: Publisher, name: str, *, word: str, changes: Changes) -> None:
    card = MadeUpNode.new().sealed_card(**marked(word, changes))  # type: ignore[arg-type]
    await publisher.publish(f"card {name}", record_of(card))


def found_findings(seen: Transcript, question: Question, *, cards: tuple[str, ...]) -> Iterator[Finding]:
    """Yields that a question did not find exactly the cards that fit, each once; `card X` published card X."""
    exchanges = list(pages(seen, question.name))
    if refused_pages := [one for one in exchanges if not one.accepted]:
        for exchange in refused_pages:
            yield from was_accepted(exchange, requirement="REG-FIND-001")
        return
    names = {envelope_digest(published(seen[f"card {name}"]).object): name for name in cards}
    got = [names.get(envelope_digest(card), "a card of nobody here") for card in found(exchanges)]
    for name in dict.fromkeys((*question.finds, *got)):
        times, wanted = got.count(name), name in question.finds
        if times != wanted:
            what = (
                "fits and was not found" if not times else "was found twice" if wanted else "was found and does not fit"
            )
            yield Finding(
                requirement="REG-FIND-001",
                message=f"asked for {question.name}: {name} {what}",
                expected=", ".join(question.finds) or "nobody",
                got=", ".join(got) or "nobody",
                exchange=question.name,
            )
