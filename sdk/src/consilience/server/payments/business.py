"""Business: opens a node for payments, from what was written down to the service that takes calls."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from consilience.errors import UsageError
from consilience.rails.hold import TEST_NETWORK
from consilience.server.admission import House
from consilience.server.cards import CardIssuer
from consilience.server.keys import SigningKeys
from consilience.server.load import Load
from consilience.server.payments.changes import Changes
from consilience.server.payments.offers import Trade
from consilience.server.payments.quotes import Quotes
from consilience.server.payments.service import PaymentService
from consilience.server.payments.tills import Till
from consilience.server.rates import CallRate
from consilience.server.skills import SkillBook
from consilience.server.store.contract import AnswerStore
from consilience.server.store.ledger import PayingStore
from consilience.units import PublicKey


def till_of(store: AnswerStore, *, node_id: PublicKey, keys: SigningKeys, clock: Callable[[], datetime]) -> Till | None:
    """Returns what takes the money of a node; None: its store keeps no ledger.

    A node that is not paid any more has one as well: it ends the paid answers of an earlier life.
    """
    if not isinstance(store, PayingStore):
        return None
    return Till(node_id=node_id, keys=keys, ledger=store.ledger, changes=Changes(), clock=clock)


def payment_service(
    trade: Trade,
    *,
    till: Till | None,
    durable: bool,
    house: House,
    cards: CardIssuer,
    skills: SkillBook,
    load: Load,
) -> PaymentService:
    """Returns what a node is paid by.

    Args:
        trade: What it is paid for, and how.
        till: Takes the money.
        durable: Whether sessions outlive the process.
        house: The rules of the node.
        cards: Tells the card on which quotes rest.
        skills: What can be asked.
        load: Counts the running asks.

    Raises:
        UsageError: The store keeps no ledger, or forgets sessions that are of value (PAY-CARD-002), or a price is too
            long to be told in a refusal.
    """
    if till is None:
        raise UsageError("a node that is paid needs a store with a ledger, as sqlite:///answers.db")
    if not durable and any(rail.network != TEST_NETWORK for rail in trade.listed):
        raise UsageError("a node that is paid on a network of value needs a durable store, as sqlite:///answers.db")
    quotes = Quotes(
        node_id=till.node_id,
        keys=till.keys,
        skills=skills,
        book=trade.prices,
        rails=trade.listed,
        rate=CallRate(per_minute=trade.payments.quotes_per_minute),
        running_asks=lambda: load.running,
        max_running_asks=house.limits.max_running_asks,
    )
    quotes.check_sizes()
    return PaymentService.of(
        house=house,
        cards=cards,
        till=till,
        quotes=quotes,
        rails=trade.rails,
        session_rate=CallRate(per_minute=trade.payments.sessions_per_minute),
        transfer_rate=CallRate(per_minute=trade.payments.transfers_per_minute),
    )
