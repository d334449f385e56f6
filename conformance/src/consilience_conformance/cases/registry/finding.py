"""Finding (spec section 4.6): one check for each row of the table, with what just fits and what just does not."""

from __future__ import annotations

from consilience.v1 import node_pb2, registry_pb2, tariff_pb2
from consilience_conformance.records.findable_cards import Changes, Question, find_check, skill, skill_with

_PUBLIC, _INTERNAL, _CONFIDENTIAL = (
    node_pb2.DATA_CLASS_PUBLIC,
    node_pb2.DATA_CLASS_INTERNAL,
    node_pb2.DATA_CLASS_CONFIDENTIAL,
)
_CORE, _DURABLE, _PAY, _TESTED = (
    node_pb2.PROFILE_CORE,
    node_pb2.PROFILE_DURABLE,
    node_pb2.PROFILE_PAY,
    node_pb2.PROFILE_CONFORMANCE,
)
_ASSET, _OTHER_ASSET = "TEST/0", "TEST/2"
_RAIL = "made.up.rail"


def _policy(data_class: node_pb2.DataClass.ValueType) -> node_pb2.DataPolicy:
    return node_pb2.DataPolicy(max_data_class=data_class)


def _tariff(name: str, *prices: tariff_pb2.UnitPrice, asset: str = _ASSET, least: int = 0) -> tariff_pb2.Tariff:
    return tariff_pb2.Tariff(id=name, asset=asset, prices=prices, tokenizer="words", minimum_charge=least)


def _each(price: int) -> tariff_pb2.UnitPrice:
    return _unit(tariff_pb2.PRICED_UNIT_REQUEST, price)


def _unit(
    unit: tariff_pb2.PricedUnit.ValueType, price: int, *, per: int = 1, included: int = 0
) -> tariff_pb2.UnitPrice:
    return tariff_pb2.UnitPrice(unit=unit, price=price, per=per, included=included)


def _paid(*tariffs: tariff_pb2.Tariff, rail: str = _RAIL, skills: tuple[node_pb2.Skill, ...] = ()) -> Changes:
    """Returns the changes of a card that is paid on a rail; one skill under all tariffs, unless told."""
    assets = sorted({tariff.asset for tariff in tariffs})
    backing = tariff_pb2.BACKING_PREPAID
    return {
        "profiles": [_CORE, _PAY],
        "tariffs": tariffs,
        "rails": [tariff_pb2.Rail(id=rail, network="test", assets=assets, backings=[backing])],
        "skills": skills or [skill_with(tariff_ids=[tariff.id for tariff in tariffs])],
    }


def _model(name: str, parameter_count: int = 0) -> node_pb2.Model:
    return node_pb2.Model(id=name, parameter_count=parameter_count)


def _models(*models: node_pb2.Model, of_skill: tuple[str, ...] | None = None) -> Changes:
    ids = [model.id for model in models] if of_skill is None else list(of_skill)
    return {"models": models, **skill(model_ids=ids)}


_REFERENCE = _tariff(
    "all",
    _unit(tariff_pb2.PRICED_UNIT_REQUEST, 1),
    _unit(tariff_pb2.PRICED_UNIT_INPUT_TOKEN, 2),
    _unit(tariff_pb2.PRICED_UNIT_CACHED_INPUT_TOKEN, 10**6),
    _unit(tariff_pb2.PRICED_UNIT_OUTPUT_TOKEN, 3),
    _unit(tariff_pb2.PRICED_UNIT_HIDDEN_TOKEN, 10**6),
    _unit(tariff_pb2.PRICED_UNIT_OUTPUT_BYTE, 4, per=10),
    _unit(tariff_pb2.PRICED_UNIT_MILLISECOND, 5, per=1000),
)
_REFERENCE_COST = 1 + 2 * 1000 + 3 * 250 + 4 * 100 + 5 * 5
_WITHIN_150 = ("cheap", "part", "least", "included", "two", "free")


def _at_most(cost: int, asset: str = _ASSET) -> Changes:
    return {"price": registry_pb2.PriceCeiling(asset=asset, max_cost=cost)}


CHECKS = (
    find_check(
        "a-skill-is-found-by-its-id",
        title="A question for an id finds the skill of that id, and not one that begins so.",
        cards={"exact": skill(id="made.up"), "longer": skill(id="made.up.more"), "shorter": skill(id="made")},
        questions=(Question(name="made.up", asks={"skill_id": "made.up"}, finds=("exact",)),),
    ),
    find_check(
        "a-domain-is-found-by-what-stands-before-a-dot",
        title="A question for a domain finds it, and what begins with it and a dot.",
        cards={
            "law": skill(domains=["law"]),
            "law.de": skill(domains=["units", "law.de"]),
            "law.de.tax": skill(domains=["law.de.tax"]),
            "lawn": skill(domains=["lawn", "law-school"]),
            "civil.law": skill(domains=["civil.law"]),
            "none": skill(domains=[]),
        },
        questions=(
            Question(name="law", asks={"domain": "law"}, finds=("law", "law.de", "law.de.tax")),
            Question(name="law.de", asks={"domain": "law.de"}, finds=("law.de", "law.de.tax")),
            Question(name="law.d", asks={"domain": "law.d"}, finds=()),
        ),
    ),
    find_check(
        "a-language-is-found-by-what-stands-before-a-hyphen",
        title="A question for a language finds it and its regions, whatever the case, and skills that name none.",
        cards={
            "en": skill(languages=["en"]),
            "en-GB": skill(languages=["de", "en-GB"]),
            "EN-us": skill(languages=["EN-us"]),
            "enm": skill(languages=["enm"]),
            "de": skill(languages=["de"]),
            "any": skill(languages=[]),
        },
        questions=(
            Question(name="en", asks={"language": "en"}, finds=("en", "en-GB", "EN-us", "any")),
            Question(name="En", asks={"language": "En"}, finds=("en", "en-GB", "EN-us", "any")),
            Question(name="EN-gb", asks={"language": "EN-gb"}, finds=("en-GB", "any")),
            Question(name="fr", asks={"language": "fr"}, finds=("any",)),
        ),
    ),
    find_check(
        "a-media-type-is-found-where-it-is-read",
        title="A question for a media type finds skills that read it; one that names none reads text/plain.",
        cards={
            "silent": skill(),
            "plain": skill(input_media_types=["text/plain"]),
            "both": skill(input_media_types=["text/markdown", "text/plain"]),
            "markdown": skill(input_media_types=["text/markdown"]),
        },
        questions=(
            Question(name="text/plain", asks={"input_media_type": "text/plain"}, finds=("silent", "plain", "both")),
            Question(name="text/markdown", asks={"input_media_type": "text/markdown"}, finds=("both", "markdown")),
            Question(name="text", asks={"input_media_type": "text"}, finds=()),
        ),
    ),
    find_check(
        "a-data-class-is-the-lower-of-card-and-skill",
        title="A question for a data class finds skills of which the lower of card and skill is not below it.",
        cards={
            "public": {"data_policy": _policy(_PUBLIC)},
            "internal": {"data_policy": _policy(_INTERNAL)},
            "confidential": {"data_policy": _policy(_CONFIDENTIAL)},
            "skill internal": {"data_policy": _policy(_CONFIDENTIAL), **skill(max_data_class=_INTERNAL)},
            "skill public": {"data_policy": _policy(_CONFIDENTIAL), **skill(max_data_class=_PUBLIC)},
            "card public": {"data_policy": _policy(_PUBLIC), **skill(max_data_class=_CONFIDENTIAL)},
        },
        questions=(
            Question(
                name="internal",
                asks={"data_class": _INTERNAL},
                finds=("internal", "confidential", "skill internal"),
            ),
            Question(name="confidential", asks={"data_class": _CONFIDENTIAL}, finds=("confidential",)),
        ),
    ),
    find_check(
        "a-price-is-what-the-reference-usage-costs",
        title="A question for a price finds skills of which a tariff in that asset costs no more, and free ones.",
        cards={
            "all": _paid(_REFERENCE),
            "cheap": _paid(_tariff("cheap", _each(100))),
            "part": _paid(_tariff("part", _unit(tariff_pb2.PRICED_UNIT_MILLISECOND, 1, per=49))),
            "least": _paid(_tariff("least", _each(100), least=150)),
            "included": _paid(_tariff("included", _unit(tariff_pb2.PRICED_UNIT_OUTPUT_BYTE, 1, included=850))),
            "two": _paid(_tariff("dear", _each(10**6)), _tariff("cheap", _each(100))),
            "other asset": _paid(_tariff("cheap", _each(1), asset=_OTHER_ASSET)),
            "unused": _paid(
                _tariff("dear", _each(10**6)), _tariff("cheap", _each(1)), skills=(skill_with(tariff_ids=["dear"]),)
            ),
            "free": skill(),
        },
        questions=(
            Question(name="3176", asks=_at_most(_REFERENCE_COST), finds=("all", *_WITHIN_150)),
            Question(name="3175", asks=_at_most(_REFERENCE_COST - 1), finds=_WITHIN_150),
            Question(name="150", asks=_at_most(150), finds=_WITHIN_150),
            Question(name="149", asks=_at_most(149), finds=("cheap", "part", "two", "free")),
            Question(name="103", asks=_at_most(103), finds=("cheap", "part", "two", "free")),
            Question(name="102", asks=_at_most(102), finds=("cheap", "two", "free")),
            Question(name="nothing", asks=_at_most(0), finds=("free",)),
            Question(name="1 elsewhere", asks=_at_most(1, _OTHER_ASSET), finds=("other asset", "free")),
        ),
    ),
    find_check(
        "a-rail-is-found-where-the-card-lists-it",
        title="A question for a rail finds nodes that list it.",
        cards={
            "rail": _paid(_tariff("cheap", _each(1))),
            "other rail": _paid(_tariff("cheap", _each(1)), rail="made.up.rail.2"),
            "free": skill(),
        },
        questions=(Question(name="rail", asks={"rail_id": _RAIL}, finds=("rail",)),),
    ),
    find_check(
        "profiles-are-found-where-all-are-listed",
        title="A question for profiles finds nodes that list them all.",
        cards={
            "core": {"profiles": [_CORE]},
            "durable": {"profiles": [_DURABLE, _CORE]},
            "tested": {"profiles": [_CORE, _TESTED]},
            "both": {"profiles": [_CORE, _TESTED, _DURABLE]},
        },
        questions=(
            Question(name="durable", asks={"profiles": [_DURABLE]}, finds=("durable", "both")),
            Question(name="durable and tested", asks={"profiles": [_DURABLE, _TESTED]}, finds=("both",)),
        ),
    ),
    find_check(
        "parameter-counts-are-of-one-model",
        title="A question for parameters finds skills of which one model, whose parameters are told, is within both.",
        cards={
            "small": _models(_model("a", 1000)),
            "middle": _models(_model("a", 2000)),
            "large": _models(_model("a", 3000)),
            "small and large": _models(_model("a", 1000), _model("b", 3000)),
            "untold": _models(_model("a")),
            "unused": _models(_model("a", 2000), _model("b", 9000), of_skill=("b",)),
            "none": skill(),
        },
        questions=(
            Question(
                name="2000",
                asks={"min_parameter_count": 2000, "max_parameter_count": 2000},
                finds=("middle",),
            ),
            Question(
                name="from 2000 on",
                asks={"min_parameter_count": 2000},
                finds=("middle", "large", "small and large", "unused"),
            ),
            Question(
                name="up to 2000",
                asks={"max_parameter_count": 2000},
                finds=("small", "middle", "small and large"),
            ),
        ),
    ),
    find_check(
        "bounds-that-exclude-each-other-find-nothing",
        title="A question for more parameters than it asks for at the most finds nothing, and fails at nothing.",
        cards={
            "small": _models(_model("a", 20)),
            "middle": _models(_model("a", 2000)),
            "large": _models(_model("a", 3000)),
        },
        questions=(
            Question(
                name="from 3000 to 2000", asks={"min_parameter_count": 3000, "max_parameter_count": 2000}, finds=()
            ),
            Question(name="from 2000 to 20", asks={"min_parameter_count": 2000, "max_parameter_count": 20}, finds=()),
        ),
    ),
    find_check(
        "words-are-found-in-names-and-descriptions",
        title="A question for words finds skills of which all words stand in the names and descriptions.",
        cards={
            "name": {"name": "Straße des Ufers"},
            "description": {"description": "An der STRASSE, am Ufer."},
            "id": skill(id="strasse"),
            "skill": skill(description="Jede (strasse)_jedes UFER"),
            "domain": skill(domains=["strasse.ufer"]),
            "part of a word": {"description": "Landstrasse, Uferweg"},
            "word in another skill": {
                "skills": [skill_with(id="one", description="strasse"), skill_with(id="two", description="ufer")]
            },
        },
        questions=(
            Question(
                name="strasse",
                asks={"text": "strasse"},
                finds=("name", "description", "id", "skill", "domain", "word in another skill"),
            ),
            Question(name="both", asks={"text": "Ufer: STRASSE!"}, finds=("description", "skill", "domain")),
        ),
    ),
    find_check(
        "all-that-is-asked-for-is-in-one-skill",
        title="A node fits by one skill that has all that is asked for, and is found once, however many fit.",
        cards={
            "one skill": skill(domains=["law"], languages=["de"]),
            "two skills": {
                "skills": [
                    skill_with(id="one", domains=["law"], languages=["fr"]),
                    skill_with(id="two", domains=["units"], languages=["de"]),
                ]
            },
            "twice": {
                "skills": [
                    skill_with(id="one", domains=["law"], languages=["de"]),
                    skill_with(id="two", domains=["law.de"], languages=["de-CH"]),
                ]
            },
        },
        questions=(
            Question(name="law in German", asks={"domain": "law", "language": "de"}, finds=("one skill", "twice")),
            Question(name="anyone", asks={}, finds=("one skill", "two skills", "twice")),
        ),
    ),
    find_check(
        "pages-of-cards-hold-each-once",
        title="All pages together hold each card that fits, once.",
        cards={f"number {number}": {} for number in range(1, 8)},
        questions=(Question(name="seven", asks={}, finds=tuple(f"number {number}" for number in range(1, 8))),),
        page_size=2,
    ),
)
