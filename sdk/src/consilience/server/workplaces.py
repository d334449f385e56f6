"""Workplaces: what all answers of a node are made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience.calls import MAX_CLOCK_SKEW
from consilience.server.keys import SigningKeys
from consilience.server.observers import Observer
from consilience.server.payments.tills import Till
from consilience.server.store.contract import MIN_DURABLE_RETENTION, AnswerStore, StoredAsk
from consilience.units import MICROSECOND, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """What all answers of a node share.

    Attributes:
        node_id: The root key, 32 bytes.
        keys: Sign the answers.
        store: Keeps them.
        retention: The `answer_retention` of the card.
        max_run_time: That of the card.
        observer: Is told how they went.
        clock: Tells the aware UTC time.
        till: Takes the money for those that are paid for; None: the store keeps no ledger.
    """

    node_id: PublicKey
    keys: SigningKeys
    store: AnswerStore
    retention: timedelta
    max_run_time: timedelta
    observer: Observer
    clock: Callable[[], datetime]
    till: Till | None = None

    def keep_until(self, ask: StoredAsk, *, finish_time: datetime) -> datetime:
        """Returns until when an answer that finishes now can be read.

        At least as long as a copy of its ask may come: one that found nothing would be worked on a second time.
        """
        end = max(finish_time + self.retention, ask.expire_time + MAX_CLOCK_SKEW + MICROSECOND)
        return max(end, ask.accept_time + MIN_DURABLE_RETENTION) if self.store.durable else end
