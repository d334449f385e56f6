"""The questions of which the time is taken: easy ones, and those that are made to hurt."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.registry.population import SOUND, domains, word, words
from consilience.nodes import DataClass, Profile
from consilience.reviews import NodeQuery, PriceCeiling

Ask = Callable[[random.Random], NodeQuery]
COMMON_WORDS = 20
COMMON_DOMAINS = 20
PAGE_DEPTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of question.

    Attributes:
        name: For the table.
        ask: Draws one.
        page: Which page is fetched, from 1; those before it are, too, but not timed.
    """

    name: str
    ask: Ask
    page: int = 1


def _common_word(chance: random.Random) -> str:
    return chance.choice(words().things[:COMMON_WORDS])


def _common_domain(chance: random.Random) -> str:
    return chance.choice(domains().things[:COMMON_DOMAINS])


def _rare_domain(chance: random.Random) -> str:
    return chance.choice(domains().things[-1000:])


KINDS = (
    Kind(name="a common domain", ask=lambda chance: NodeQuery(domain=_common_domain(chance))),
    Kind(name="a rare domain", ask=lambda chance: NodeQuery(domain=_rare_domain(chance))),
    Kind(
        name="a common domain, a low price",
        ask=lambda chance: NodeQuery(
            domain=_common_domain(chance), profiles=(Profile.PAY,), price=PriceCeiling(asset="EUR/6", max_cost=30)
        ),
    ),
    Kind(name="a common word", ask=lambda chance: NodeQuery(text=_common_word(chance))),
    Kind(name="a rare word", ask=lambda chance: NodeQuery(text=words().things[chance.randrange(10_000, 50_000)])),
    Kind(
        name="three common words and a domain",
        ask=lambda chance: NodeQuery(
            text=" ".join(chance.sample(words().things[:COMMON_WORDS], 3)), domain=_common_domain(chance)
        ),
    ),
    Kind(
        name="everything at once",
        ask=lambda chance: NodeQuery(
            skill_id="chat",
            domain=_common_domain(chance),
            language=chance.choice(("en", "de", "fr")),
            input_media_type="text/plain",
            data_class=DataClass.INTERNAL,
            price=PriceCeiling(asset="USD/6", max_cost=10_000),
            rail_id="hold.v1",
            profiles=(Profile.DURABLE, Profile.PAY),
            min_parameter_count=1_000_000_000,
            max_parameter_count=10_000_000_000,
            text=_common_word(chance),
        ),
    ),
    Kind(
        name="common things that nobody has together",
        ask=lambda chance: NodeQuery(domain="computing", input_media_type=SOUND, text=_common_word(chance)),
    ),
    Kind(name="a word that nobody has", ask=lambda chance: NodeQuery(text=f"{word(chance.randrange(10**6))}q")),
    Kind(name="nothing in particular", ask=lambda _: NodeQuery()),
    Kind(name=f"page {PAGE_DEPTH} of a common domain", ask=lambda _: NodeQuery(domain="computing"), page=PAGE_DEPTH),
)
