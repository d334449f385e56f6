"""Quotes: the price that is asked for, that goes with a refusal, and that an ask brings along (spec sections 3.2, 3.6).

A quote is signed and not kept: an ask brings it along. Those that were issued or checked lately are remembered by all
their bytes, so that a signature is not verified for each ask under one quote.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from consilience._wire import envelopes
from consilience.asks import Ask
from consilience.envelopes import Envelope, Signed
from consilience.errors import PaymentRequired, PaymentRequiredError, QuoteInvalidError, RefusedError, UsageError
from consilience.nodes import Skill
from consilience.payments import GetQuoteCall, Quote
from consilience.server.admission import check_model, served_skill
from consilience.server.keys import SigningKeys
from consilience.server.load import count_call
from consilience.server.payments.offers import DEFAULT_QUOTE_LIFETIME, Circumstances, Offer, PriceBook, prices_model
from consilience.server.rates import CallRate
from consilience.server.skills import SkillBook
from consilience.tariffs import Rail, Tariff
from consilience.units import EPOCH, Digest, EncodedEnvelope, PublicKey

MAX_QUOTE_BYTES = 3072
"""Of a signed quote, so that it fits into the refusal of an ask with all that a status holds besides (ERR-STAT-004)."""

MAX_KNOWN_QUOTES = 4096
"""Quotes that are remembered as verified, about 2 KB each."""


def priced(quote: Quote) -> Tariff:
    """Returns the tariff of a quote that has one.

    Raises:
        QuoteInvalidError: It has none.
    """
    if quote.tariff is None:
        raise QuoteInvalidError("the quote has no price")
    return quote.tariff


@dataclass(slots=True, kw_only=True)
class Quotes:
    """Says what asks cost.

    Attributes:
        node_id: The root key, 32 bytes.
        keys: Sign the quotes.
        skills: What can be asked.
        book: What it costs.
        rails: On which the node is paid, as its card lists them.
        rate: Counts how often each caller asks for a price.
        running_asks: Tells how many asks the node works on.
        max_running_asks: How many it takes.
    """

    node_id: PublicKey
    keys: SigningKeys
    skills: SkillBook
    book: PriceBook
    rails: tuple[Rail, ...]
    rate: CallRate
    running_asks: Callable[[], int]
    max_running_asks: int
    _known: OrderedDict[Envelope, Signed[Quote]] = field(default_factory=OrderedDict)

    def check_sizes(self) -> None:
        """Checks that each price can be told in a refusal.

        Raises:
            UsageError: A quote would be larger than `MAX_QUOTE_BYTES`.
        """
        nobody, now = PublicKey(bytes(32)), EPOCH
        for served in self.skills:
            for offer in self.book.offers(served.skill.id):
                model_id = max((*offer.tariff.model_ids, *served.skill.model_ids, ""), key=len)
                quote = self._quote(
                    offer, payer=nobody, skill=served.skill, model_id=model_id, card=Digest(bytes(32)), now=now
                )
                size = len(envelopes.to_bytes(quote.envelope))
                if size > MAX_QUOTE_BYTES:
                    raise UsageError(
                        f"a quote by the tariff {offer.tariff.id!r} would have {size} bytes, {MAX_QUOTE_BYTES} at "
                        "most: name fewer models and rails, or shorter ones"
                    )

    def answer(self, call: GetQuoteCall, *, card: Digest, now: datetime) -> Signed[Quote]:
        """Returns the price that a caller asks for, resting on a card (PAY-QUO-001).

        Raises:
            LimitExceededError: `max_quotes_per_minute`.
            SkillUnknownError, ModelUnknownError: With what is supported.
            TermsRefusedError: The skill is not priced in the asset; with the assets.
        """
        caller = call.header.caller
        count_call(self.rate, caller, limit="max_quotes_per_minute", now=now)
        skill = served_skill(call.skill_id, skills=self.skills).skill
        check_model(call.model_id, skill=skill)
        offer = self.book.offer(skill, model_id=call.model_id, asset=call.asset)
        return self._issue(offer, payer=caller, skill=skill, model_id=call.model_id, card=card, now=now)

    def required(self, ask: Ask, *, skill: Skill, now: datetime) -> PaymentRequiredError:
        """Returns the refusal of an ask that names no payment, with a quote for it (PAY-ASK-001)."""
        quote = self._issue(
            self.book.offer(skill, model_id=ask.model_id),
            payer=ask.header.caller,
            skill=skill,
            model_id=ask.model_id,
            card=ask.card_digest,
            now=now,
        )
        detail = PaymentRequired(quote=EncodedEnvelope(envelopes.to_bytes(quote.envelope)))
        return PaymentRequiredError(f"{skill.id} costs something", detail=detail)

    def brought(self, received: Envelope | None, *, ask: Ask, skill: Skill, now: datetime) -> Signed[Quote]:
        """Returns the quote that came with an ask that names one: steps 2 to 4 of section 3.6.

        Raises:
            QuoteInvalidError: It is not the quote that the ask names, or it does not hold for the ask.
        """
        quote = self._opened(received, now=now)
        value, payment = quote.value, ask.payment
        if payment is None or quote.digest != payment.quote_digest:
            raise QuoteInvalidError("the request carries another quote than the ask names")
        named = (value.node_id, value.payer, value.skill_id, value.card_digest)
        if named != (self.node_id, ask.header.caller, skill.id, ask.card_digest):
            raise QuoteInvalidError("the quote is for another node, payer, skill or card")
        if value.model_id not in ("", ask.model_id):
            raise QuoteInvalidError(f"the quote is for the model {value.model_id!r}")
        if not prices_model(priced(value), ask.model_id):
            raise QuoteInvalidError(f"the quote does not price the model {ask.model_id!r}")
        if now > value.expire_time:
            raise QuoteInvalidError("the quote has expired")
        return quote

    def _opened(self, received: Envelope | None, *, now: datetime) -> Signed[Quote]:
        if received is None:
            raise QuoteInvalidError("the request carries no quote")
        if (known := self._known.get(received)) is not None:
            self._known.move_to_end(received)
            return known
        try:
            quote = envelopes.open_envelope(received, Quote)
        except RefusedError as error:
            raise QuoteInvalidError(f"the quote cannot be read: {error.reason}") from error
        if quote.value.signing_key not in {key.public_key for key in self.keys.listed(now=now)}:
            raise QuoteInvalidError("the quote is not signed by this node")
        self._remember(quote)
        return quote

    def _issue(
        self, offer: Offer | None, *, payer: PublicKey, skill: Skill, model_id: str, card: Digest, now: datetime
    ) -> Signed[Quote]:
        signed = self._quote(offer, payer=payer, skill=skill, model_id=model_id, card=card, now=now)
        self._remember(signed)
        return signed

    def _quote(
        self, offer: Offer | None, *, payer: PublicKey, skill: Skill, model_id: str, card: Digest, now: datetime
    ) -> Signed[Quote]:
        signer = self.keys.signer(now=now)
        quote = Quote(
            node_id=self.node_id,
            signing_key=signer.public_key,
            card_digest=card,
            payer=payer,
            skill_id=skill.id,
            model_id=model_id,
            issue_time=now,
            expire_time=now + (DEFAULT_QUOTE_LIFETIME if offer is None else offer.lifetime),
        )
        return envelopes.seal(quote if offer is None else self._priced(quote, offer), signer=signer)

    def _priced(self, quote: Quote, offer: Offer) -> Quote:
        """Returns a quote with the price of the moment, which it freezes (PAY-QUO-002)."""
        circumstances = Circumstances(
            now=quote.issue_time, running_asks=self.running_asks(), max_running_asks=self.max_running_asks
        )
        tariff = offer.at(circumstances).tariff
        return replace(
            quote,
            tariff=tariff,
            window=offer.window,
            max_charge=offer.max_charge,
            max_asks=offer.max_asks,
            total_max_charge=offer.most_in_all,
            rail_ids=tuple(rail.id for rail in self.rails if tariff.asset in rail.assets),
            hold_open=offer.hold_open,
        )

    def _remember(self, quote: Signed[Quote]) -> None:
        self._known[quote.envelope] = quote
        if len(self._known) > MAX_KNOWN_QUOTES:
            self._known.popitem(last=False)
