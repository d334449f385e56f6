"""Tabs: where nothing that a node offers is free, each ask of a check is put on the tab of its caller.

A check asks as if nothing cost anything. Its stage names quote and session in each ask, and puts quote and voucher
beside it::

    stage.tabs = await Tabs().opened_at(stage)
    await stage.send("ask", stage.ask())

A voucher allows each ask its most, once, however often it is sent, and the purse is asked before it is signed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.needs import NotApplicableError, NotLentError
from consilience_conformance.payers import Account, Payer, Price
from consilience_conformance.stage import Stage

_ASKS = 64
"""Few checks make more asks than a dozen; a session is opened for so many, where the card allows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """What one caller pays with.

    Attributes:
        payer: The caller.
        price: What each ask costs.
        account: Out of which it is paid.
        allowed: The request ids of the asks for which authority was signed.
    """

    payer: Payer
    price: Price
    account: Account
    allowed: set[bytes] = field(default_factory=set)

    @property
    def payment(self) -> ask_pb2.AskPayment:
        """What an ask names."""
        return ask_pb2.AskPayment(quote_digest=self.price.quote.digest, session_id=self.account.session_id)

    @property
    def most(self) -> int:
        """How many asks quote and session bear, each at its most."""
        quote = self.price.quote.value
        return min(quote.max_asks, min(self.account.amount, quote.total_max_charge) // self.price.max_charge)

    def voucher(self, request_id: bytes) -> SignedEnvelope:
        """Returns the voucher that goes with an ask.

        Raises:
            NotLentError: The run may not spend so much, or the card lets nobody pay for so many asks at once.
        """
        if request_id not in self.allowed:
            if len(self.allowed) >= self.most:
                raise NotLentError(f"asks more than {self.most} times, for which one quote and one session are good")
            offer = self.price.offer
            purse = self.payer.stage.surroundings.purse
            purse.take(self.price.max_charge, asset=offer.tariff.asset, network=offer.rail.network)
            self.allowed.add(request_id)
        return self.payer.voucher(self.account, len(self.allowed) * self.price.max_charge)


class Tabs:
    """Those of a check, the latest ones last."""

    def __init__(self, *tabs: Tab) -> None:
        """Keeps tabs that were opened."""
        self._tabs = tabs

    async def opened_at(self, stage: Stage) -> Tabs:
        """Returns these, and a new one for each caller of a stage, under the card that it relies on.

        Raises:
            NotLentError: The run may not spend what an ask costs, or no session of the card holds it.
            UntestableError: The node makes no quote, or opens no session.
        """
        opened = list(self._tabs)
        for caller in stage.callers:
            payer, name = Payer(stage, caller=caller), f"tab-{len(opened) + 1}"
            price = await payer.quote(f"{name}-quote")
            try:
                account = await payer.open_on_trust(name, price=price, amount=_ASKS * price.max_charge)
            except NotApplicableError as reason:
                raise NotLentError(str(reason)) from reason
            opened.append(Tab(payer=payer, price=price, account=account))
        return Tabs(*opened)

    def payment(self, caller: bytes) -> ask_pb2.AskPayment | None:
        """Returns what an ask of a caller names, by its key; None: it has no tab."""
        return next((tab.payment for tab in reversed(self._tabs) if tab.payer.caller.key == caller), None)

    def beside(self, request: bytes) -> bytes:
        """Returns an encoded AskRequest with what pays for its ask behind it, if that is on a tab and has none yet.

        Raises:
            NotLentError: The run may not spend so much.
        """
        try:
            read = ask_pb2.AskRequest.FromString(request)
            ask = ask_pb2.Ask.FromString(read.ask.payload)
        except DecodeError:
            return request
        tab = next((one for one in self._tabs if one.account.session_id == ask.payment.session_id), None)
        if tab is None or read.HasField("quote"):
            return request
        # The bytes of two messages in a row are those of both: what a check has spoilt stays as it is.
        paid = ask_pb2.AskRequest(voucher=tab.voucher(ask.header.request_id), quote=tab.price.quote.envelope)
        return request + paid.SerializeToString(deterministic=True)
