"""Quotes: a price for one payer, signed by the node and frozen until it expires (spec section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience.asks import Ask
from consilience.calls import MAX_CLOCK_SKEW
from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.nodes import NodeCard
from consilience.tariffs import Tariff, is_id, tariff_violations
from consilience.units import Digest, PublicKey

MAX_QUOTE_LIFETIME = timedelta(hours=1)
MAX_QUOTE_RAILS = 16
MAX_MODEL_ID_CHARACTERS = 128

_PRICED = ("window", "max_charge", "max_asks", "total_max_charge")


class CardOutdatedError(ProtocolError):
    """What a node signed rests on another card than the one that is held: a newer one, or the node broke a rule."""

    @property
    def breach(self) -> ProtocolError:
        """The error to tell where the node gives out no newer card."""
        return ProtocolError(self.args[0], requirement=self.requirement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price; see `Quote` in payment.proto for each field. Amounts are in units of the tariff's asset.

    `tariff` is None for a skill that is free.
    """

    node_id: PublicKey
    signing_key: PublicKey
    card_digest: Digest
    payer: PublicKey
    skill_id: str
    issue_time: datetime
    expire_time: datetime
    model_id: str = ""
    tariff: Tariff | None = None
    window: int = 0
    max_charge: int = 0
    max_asks: int = 0
    total_max_charge: int = 0
    rail_ids: tuple[str, ...] = ()
    hold_open: timedelta = timedelta(0)

    def ceiling(self, ask: Ask) -> int:
        """Returns the most that an ask can be charged under this quote."""
        asked = ask.limits.max_charge
        return self.max_charge if asked is None else min(asked, self.max_charge)


def check_quote(
    quote: Signed[Quote],
    *,
    card: Signed[NodeCard],
    payer: PublicKey,
    skill_id: str,
    model_id: str = "",
    asset: str = "",
    now: datetime,
) -> None:
    """Checks a price that came (PAY-QUO-004).

    Args:
        quote: What the node sent, its signature verified.
        card: The card that the client relies on.
        payer: The key that asks.
        skill_id: The skill that was asked about.
        model_id: The model; empty: whichever the node chooses.
        asset: The asset; empty: the node's first.
        now: The client's clock, aware UTC.

    Raises:
        ProtocolError: It is not the price that was asked for, or none. `CardOutdatedError`: it may be, by another card.
    """
    value = quote.value
    for path, description in quote_violations(value):
        raise ProtocolError(f"the quote is none: {path} {description}", requirement="PAY-QUO-004")
    if value.node_id != card.value.node_id:
        raise ProtocolError("the quote is of another node", requirement="PAY-QUO-004")
    if value.card_digest != card.digest:
        raise CardOutdatedError("the quote rests on another card", requirement="PAY-QUO-004")
    if not card.value.may_sign(value.signing_key, at=value.issue_time):
        raise ProtocolError("the key of the quote is none of the card's", requirement="PAY-QUO-004")
    if (value.payer, value.skill_id, value.model_id) != (payer, skill_id, model_id):
        raise ProtocolError("the quote is for another payer, skill or model", requirement="PAY-QUO-004")
    if asset and value.tariff is not None and value.tariff.asset != asset:
        raise ProtocolError(f"the quote is in {value.tariff.asset}, not in {asset}", requirement="PAY-QUO-004")
    if not value.issue_time - MAX_CLOCK_SKEW <= now <= value.expire_time:
        raise ProtocolError("the quote does not hold at this time", requirement="PAY-QUO-004")


def quote_violations(quote: Quote) -> Iterator[tuple[str, str]]:
    """Tells what breaks the rules of payment.proto: paths of fields, and what they must be."""
    yield from _wrong_names(quote)
    for name in _PRICED:
        value = getattr(quote, name)
        if value < 0 or (quote.tariff is not None and not value):
            yield name, "must be above zero with a tariff, and never below"
    if len(quote.rail_ids) > MAX_QUOTE_RAILS or not all(map(is_id, quote.rail_ids)):
        yield "rail_ids", f"must be at most {MAX_QUOTE_RAILS} ids of rails"
    if quote.hold_open < timedelta(0):
        yield "hold_open", "must not be negative"
    if not timedelta(0) < quote.expire_time - quote.issue_time <= MAX_QUOTE_LIFETIME:
        yield "expire_time", "must lie after issue_time and at most an hour later"
    if quote.tariff is not None:
        yield from tariff_violations(quote.tariff)


def _wrong_names(quote: Quote) -> Iterator[tuple[str, str]]:
    for name in ("node_id", "signing_key", "card_digest", "payer"):
        if len(getattr(quote, name)) != 32:  # noqa: PLR2004 - keys and digests
            yield name, "must be 32 bytes"
    if not is_id(quote.skill_id):
        yield "skill_id", "must be the id of a skill"
    if len(quote.model_id) > MAX_MODEL_ID_CHARACTERS:
        yield "model_id", f"must have at most {MAX_MODEL_ID_CHARACTERS} characters"
