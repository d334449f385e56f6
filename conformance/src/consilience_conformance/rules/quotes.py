"""Rules of quotes (spec section 3.2): what a node promises, to whom, for what, and on which card it rests."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from consilience.v1 import node_pb2, payment_pb2, tariff_pb2
from consilience_conformance.rules.fields import field_findings
from consilience_conformance.rules.payments import Signed, differs, signed_by_the_node
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of, shown_time

QUOTE = "consilience.v1.Quote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a quote was asked for.

    Attributes:
        payer: Who asked, 32 bytes.
        skill_id: For which skill.
        model_id: For which model; empty: any.
        asset: In which asset; empty: that of the first tariff.
    """

    payer: bytes
    skill_id: str
    model_id: str = ""
    asset: str = ""


def quote_findings(
    quote: Signed[payment_pb2.Quote],
    wish: Wish,
    *,
    card: node_pb2.NodeCard,
    honoured: Collection[bytes],
    exchange: str,
    requirement: str = "PAY-QUO-001",
) -> Iterator[Finding]:
    """Yields what is wrong with a quote that was just made.

    Args:
        quote: As it came.
        wish: What was asked for.
        card: Of the node.
        honoured: The digests of the cards that it showed while it was asked.
        exchange: In which the quote came.
        requirement: The rule that wants it.
    """
    value = quote.value
    yield from signed_by_the_node(quote.envelope, payment_pb2.Quote, card=card, exchange=exchange)
    yield from field_findings(quote.envelope.payload, QUOTE, exchange=exchange)
    for what, expected, got in (
        ("payer", wish.payer, value.payer),
        ("skill_id", wish.skill_id, value.skill_id),
    ):
        if expected != got:
            yield differs(requirement, f"the quote has another {what}", expected=expected, got=got, exchange=exchange)
    if wish.model_id and value.model_id != wish.model_id:
        yield differs(
            requirement,
            "the quote has another model_id",
            expected=wish.model_id,
            got=value.model_id,
            exchange=exchange,
        )
    if value.card_digest not in honoured:
        yield differs(
            requirement,
            "the quote rests on another card than the node shows",
            expected=", ".join(one.hex() for one in honoured),
            got=value.card_digest,
            exchange=exchange,
        )
    if nanoseconds_of(value.expire_time) <= nanoseconds_of(value.issue_time):
        yield differs(
            requirement,
            "the quote had expired when it was made",
            expected=f"after {shown_time(value.issue_time)}",
            got=shown_time(value.expire_time),
            exchange=exchange,
        )
    yield from _price(quote.value, wish, card=card, exchange=exchange, requirement=requirement)


def _price(
    quote: payment_pb2.Quote, wish: Wish, *, card: node_pb2.NodeCard, exchange: str, requirement: str
) -> Iterator[Finding]:
    skill = next((one for one in card.skills if one.id == wish.skill_id), None)
    priced = skill is not None and bool(skill.tariff_ids)
    if quote.HasField("tariff") != priced:
        yield differs(
            requirement,
            "the quote for a skill with tariffs has none" if priced else "the quote for a free skill has a tariff",
            expected="a tariff" if priced else "no tariff",
            got=quote.tariff.id or "no tariff",
            exchange=exchange,
        )
        return
    if skill is None or not priced:
        return
    wanted = wish.asset or first_asset(card, skill, model_id=wish.model_id)
    if quote.tariff.asset != wanted:
        yield differs(
            requirement,
            "the quote is in another asset",
            expected=wanted,
            got=quote.tariff.asset,
            exchange=exchange,
        )


def tariffs_of(card: node_pb2.NodeCard, skill: node_pb2.Skill) -> list[tariff_pb2.Tariff]:
    """Returns the tariffs of a skill, the preferred one first."""
    by_id = {tariff.id: tariff for tariff in card.tariffs}
    return [by_id[name] for name in skill.tariff_ids if name in by_id]


def first_asset(card: node_pb2.NodeCard, skill: node_pb2.Skill, *, model_id: str = "") -> str:
    """Returns the asset of the first tariff of a skill that prices a model; empty: there is none."""
    for tariff in tariffs_of(card, skill):
        if not model_id or not tariff.model_ids or model_id in tariff.model_ids:
            return str(tariff.asset)
    return ""


def rail_findings(quote: payment_pb2.Quote, *, card: node_pb2.NodeCard, exchange: str) -> Iterator[Finding]:
    """Yields that a quote is to be paid by a rail that the card does not list, or by none that moves its asset."""
    listed = {rail.id: rail for rail in card.rails}
    for name in quote.rail_ids:
        if name not in listed:
            yield differs(
                "PAY-CARD-001",
                "the quote names a rail that the card does not list",
                expected=", ".join(listed) or "a rail in the card",
                got=name,
                exchange=exchange,
            )
    if quote.HasField("tariff") and not any(
        quote.tariff.asset in listed[name].assets for name in quote.rail_ids if name in listed
    ):
        yield differs(
            "PAY-CARD-001",
            "no rail of the quote moves its asset",
            expected=quote.tariff.asset,
            got=", ".join(quote.rail_ids) or "no rail",
            exchange=exchange,
        )
