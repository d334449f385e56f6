"""A population of nodes and reviews as a registry may come to hold, each record signed by a key of its own.

Everything is drawn from a number, so that a process that knows it draws the same node: its card, and what reviewers say
of it. What is drawn follows long tails: a few domains, languages and words are in a large part of the cards, and most
are in a handful.
"""

import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache

from consilience import nodes, reviews
from consilience._wire.envelopes import seal
from consilience.identity import KeyPair, next_root_digest
from consilience.reviews.tickets import day_of
from consilience.tariffs import Backing, PricedUnit, Rail, Tariff, UnitPrice
from consilience.units import card_sequence

WORDS = 50_000
DOMAINS = 4_000
REVIEWERS = 50_000
DAY = timedelta(days=1)
LIFETIME = 30 * DAY
COMMENTED = 0.6

SOUND = "audio/wav"
"""Is read by none of the nodes of the most common domain, though by many others."""

_SYLLABLES = [
    first + last for first in "bdfghklmnprstvwz" for last in ("a", "e", "i", "o", "u", "an", "er", "in", "ol")
]
_AREAS = (
    *("computing", "law", "medicine", "finance", "language", "science", "history", "cooking", "travel", "music"),
    *("sports", "games", "gardening", "energy", "teaching", "weather", "trade", "film", "farming", "crafts"),
)
_LANGUAGES = ("en", "de", "fr", "es", "zh-Hans", "pt-BR", "ja", "ar", "hi", "ru", "it", "ko", "nl", "pl", "tr", "en-GB")
_RARE_LANGUAGES = tuple(f"{first}{last}" for first in "qx" for last in "abcdefghijklmnopqrst")
_SIZES = (135_000_000, 1_000_000_000, 3_000_000_000, 7_000_000_000, 8_000_000_000, 70_000_000_000, 405_000_000_000)
_ASSETS = ("USD/6", "BTC/11", "EUR/6")
_LIMITS = nodes.Limits(
    max_message_bytes=1 << 20,
    max_turns=16,
    max_input_bytes=1 << 18,
    max_running_asks=8,
    max_running_asks_per_caller=4,
    max_run_time=timedelta(minutes=2),
    answer_retention=timedelta(minutes=10),
    max_readers_per_answer=4,
)


@dataclass(frozen=True, slots=True)
class Tail:
    """Things of which the first are common and the last are rare: the share of the nth goes with 1/n to a power."""

    things: Sequence[str]
    cumulated: Sequence[float]

    @classmethod
    def of(cls, things: Sequence[str], *, power: float) -> "Tail":
        """Gives each thing its share."""
        return cls(things, list(itertools.accumulate((number + 1) ** -power for number in range(len(things)))))

    def draw(self, chance: random.Random, *, count: int) -> list[str]:
        """Returns some of the things, each once."""
        return list(dict.fromkeys(chance.choices(self.things, cum_weights=self.cumulated, k=count)))


def word(number: int) -> str:
    """Returns the word of a number; the first are the most common ones."""
    syllables = []
    number += len(_SYLLABLES)
    while number:
        number, rest = divmod(number, len(_SYLLABLES))
        syllables.append(_SYLLABLES[rest])
    return "".join(reversed(syllables))


@cache
def words() -> Tail:
    """Returns what descriptions are made of."""
    return Tail.of([word(number) for number in range(WORDS)], power=1.0)


@cache
def domains() -> Tail:
    """Returns what skills are about: twenty areas, and ever smaller ones in them."""
    parts = ([area, *(f"{area}.{word(number)}" for number in range(DOMAINS // len(_AREAS)))] for area in _AREAS)
    mixed = itertools.chain.from_iterable(itertools.zip_longest(*parts))
    return Tail.of([domain for domain in mixed if domain], power=0.9)


@cache
def languages() -> Tail:
    """Returns the languages in which skills may be asked."""
    return Tail.of([*_LANGUAGES, *_RARE_LANGUAGES], power=1.3)


@lru_cache(maxsize=1000)
def node_key(number: int) -> KeyPair:
    """Returns the root key of a node."""
    return KeyPair(hashlib.sha256(b"node %d" % number).digest())


@cache
def reviewer_key(number: int) -> KeyPair:
    """Returns the key of a reviewer."""
    return KeyPair(hashlib.sha256(b"reviewer %d" % number).digest())


def card_of(number: int, *, now: datetime) -> reviews.OpenRecord:
    """Returns the card of a node, which it issued within the last three weeks."""
    chance, root = random.Random(number), node_key(number)  # noqa: S311 - to draw from, not a secret
    issued = now - chance.random() * 21 * DAY
    tariffs = tuple(_tariffs(chance))
    models = tuple(_models(chance))
    card = nodes.NodeCard(
        node_id=root.public_key,
        sequence=card_sequence(issued),
        expire_time=issued + LIFETIME,
        signing_keys=(nodes.SigningKey(public_key=root.public_key, expire_time=issued + LIFETIME),),
        endpoints=(nodes.Endpoint(uri=f"https://{word(number)}.example:7341", tls_mode=nodes.TlsMode.WEBPKI),),
        skills=tuple(_skills(chance, tariffs=tariffs, models=models)),
        limits=_LIMITS,
        data_policy=nodes.DataPolicy(max_data_class=chance.choice(list(nodes.DataClass)[2:])),
        profiles=_profiles(chance, pays=bool(tariffs)),
        name=f"{word(number)} {words().things[chance.randrange(100)]}",
        description=" ".join(words().draw(chance, count=chance.randint(4, 16))),
        next_root_digest=next_root_digest(root.public_key),
        models=models,
        tariffs=tariffs,
        rails=_rails(tariffs),
    )
    return reviews.OpenRecord(object=seal(card, signer=root))


def reviews_of(number: int, *, now: datetime) -> Iterator[reviews.OpenRecord]:
    """Yields the reviews of a node. Of a hundred nodes 89 have none, ten have four, and one has sixty."""
    chance, node = random.Random(-number - 1), node_key(number)  # noqa: S311 - as above
    for _ in range(60 if number % 100 == 0 else 4 if number % 10 == 1 else 0):
        reviewer = reviewer_key(chance.randrange(REVIEWERS))
        written = now - chance.random() * 365 * DAY
        salt = chance.randbytes(32)
        ticket = reviews.ReviewTicket(
            node_id=node.public_key,
            signing_key=node.public_key,
            skill_id="chat",
            reviewer_commitment=reviews.reviewer_commitment(reviewer.public_key, salt=salt),
            issue_day=day_of(written),
        )
        review = reviews.Review(
            reviewer=reviewer.public_key,
            ticket=seal(ticket, signer=node),
            ticket_salt=salt,
            verdict=chance.choice(list(reviews.Verdict)[1:]),
            verification=reviews.Verification(method=reviews.VerificationMethod.TOOL),
            issue_time=written,
            score_milli=chance.randrange(1001),
            comment=" ".join(words().draw(chance, count=12)) if chance.random() < COMMENTED else "",
            domain=domains().draw(chance, count=1)[0],
            answer_digest=chance.randbytes(32),
        )
        yield reviews.OpenRecord(object=seal(review, signer=reviewer))


def records_of(number: int, *, now: datetime) -> Iterator[reviews.OpenRecord]:
    """Yields the card of a node and its reviews."""
    yield card_of(number, now=now)
    yield from reviews_of(number, now=now)


def _skills(
    chance: random.Random, *, tariffs: tuple[Tariff, ...], models: tuple[nodes.Model, ...]
) -> Iterator[nodes.Skill]:
    count = chance.choices((1, 2, 3, 6), cum_weights=(60, 85, 95, 100))[0]
    for number in range(count):
        about = tuple(domains().draw(chance, count=chance.choice((1, 1, 2))))
        of_common = any(domain.partition(".")[0] == _AREAS[0] for domain in about)
        yield nodes.Skill(
            id="chat" if number == 0 else f"{words().things[chance.randrange(WORDS)]}-{number}",
            description=" ".join(words().draw(chance, count=chance.randint(4, 12))),
            domains=about,
            languages=tuple(languages().draw(chance, count=2)) if chance.random() < 0.8 else (),  # noqa: PLR2004 - a share
            input_media_types=("text/plain", SOUND) if not of_common and chance.random() < 0.2 else (),  # noqa: PLR2004 - as above
            model_ids=tuple(model.id for model in models[:1]),
            max_data_class=nodes.DataClass.UNSPECIFIED if number == 0 else nodes.DataClass.PUBLIC,
            tariff_ids=tuple(tariff.id for tariff in tariffs),
        )


def _models(chance: random.Random) -> Iterator[nodes.Model]:
    if chance.random() < 0.7:  # noqa: PLR2004 - a share
        yield nodes.Model(id="base", family="transformer", parameter_count=chance.choice(_SIZES), engine="llama.cpp")


def _tariffs(chance: random.Random) -> Iterator[Tariff]:
    """Yields what answers cost: nothing at a third of the nodes, and at the others anything between 10 and 10^7."""
    if chance.random() < 1 / 3:
        return
    for asset in chance.sample(_ASSETS, k=chance.choice((1, 1, 2))):
        price = UnitPrice(unit=PricedUnit.REQUEST, price=round(10 ** chance.uniform(1, 7)))
        yield Tariff(id=asset.partition("/")[0].lower(), asset=asset, prices=(price,))


def _rails(tariffs: tuple[Tariff, ...]) -> tuple[Rail, ...]:
    assets = tuple(tariff.asset for tariff in tariffs)
    return (Rail(id="hold.v1", network="test", assets=assets, backings=(Backing.PREPAID,)),) if assets else ()


def _profiles(chance: random.Random, *, pays: bool) -> tuple[nodes.Profile, ...]:
    durable = (nodes.Profile.DURABLE,) if chance.random() < 1 / 2 else ()
    return (nodes.Profile.CORE, *durable, *((nodes.Profile.PAY,) if pays else ()))
