"""Recovery: the end of answers that nobody works on any more, because their process died (ASK-DUR-002).

Each gets a signed Final, FAILED for INTERRUPTED, over the text that had been stored; so a reader that was shown
anything before the crash finds the very same bytes under the signature.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from consilience._wire.envelopes import open_envelope
from consilience._wire.events import decode_event
from consilience.asks import Accepted, Citation, Metered, Outcome, StopReason, Usage
from consilience.envelopes import Envelope
from consilience.payments import Meter
from consilience.server.conclusions import Conclusion
from consilience.server.finals import Tally, final_entry, signed_answer
from consilience.server.readers import read_all
from consilience.server.store.contract import LeaseLostError, LogEntry, StoredAsk
from consilience.server.store.ledger import ChainMovedError
from consilience.server.workplaces import Workplace
from consilience.units import Digest, Sequence

_INTERRUPTED = Conclusion(
    outcome=Outcome.FAILED,
    stop_reason=StopReason.INTERRUPTED,
    detail="the node stopped while it worked; ask again under a new request id",
)
_LOGGER = logging.getLogger(__name__)


class Recovery:
    """Ends what nobody works on: the answers of an earlier life, and those of replicas whose lease ran out."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._claimed: list[StoredAsk] = []

    async def end_abandoned(self, *, now: datetime) -> int:
        """Claims and ends every abandoned answer; one that the store cannot write now is tried again next time.

        Args:
            now: Aware UTC; leases that ended before it count.

        Returns:
            How many were ended.
        """
        self._claimed += await self._workplace.store.claim_abandoned(now=now)
        ended = 0
        while self._claimed:
            try:
                await _end(self._claimed[0], workplace=self._workplace, now=now)
                ended += 1
            except LeaseLostError:
                _LOGGER.warning("another replica was quicker to end an interrupted answer")
            del self._claimed[0]
        if ended:
            _LOGGER.warning("%d interrupted answers were ended", ended)
        return ended


async def _end(ask: StoredAsk, *, workplace: Workplace, now: datetime) -> None:
    # The work was over by then in any case; and the card of the ask lists a key that had not expired (ASK-ANS-001),
    # however long nobody came.
    finish_time = min(now, ask.accept_time + workplace.max_run_time)
    log = _read(await read_all(workplace.store, ask.key))
    till = workplace.till
    reservation = None if till is None else await till.ledger.find_reservation(ask.key)
    charge = 0 if reservation is None or not log.tally.size_bytes else min(log.metered, reservation.reserved)
    signer = workplace.keys.signer(now=finish_time)
    answer = signed_answer(
        ask,
        tally=log.tally,
        conclusion=_INTERRUPTED,
        usage=log.tally.usage(counted=Usage(), duration=finish_time - ask.accept_time),
        charged=charge > 0,
        node_id=workplace.node_id,
        signer=signer,
        finish_time=finish_time,
    )
    while True:
        settled = None
        if till is not None and reservation is not None:
            settled = await till.settle(
                ask, answer=answer, charge=charge, reservation=reservation, ticket_digest=log.ticket_digest
            )
        try:
            return await workplace.store.finish(
                ask.key,
                (final_entry(answer, settled=settled),),
                epoch=ask.epoch,
                finish_time=finish_time,
                keep_until_time=workplace.keep_until(ask, finish_time=now),
                settlement=None if settled is None else settled.settlement,
            )
        except ChainMovedError:
            continue


@dataclass(slots=True, kw_only=True)
class _Log:
    """What was stored of an answer: its tally, its ticket, and the charge of its last Meter (PAY-DUR-002)."""

    tally: Tally = field(default_factory=Tally)
    ticket_digest: Digest | None = None
    metered: int = 0


def _read(entries: Iterable[LogEntry]) -> _Log:
    log = _Log()
    for entry in entries:
        log.tally.last_sequence = Sequence(entry.sequence)
        if entry.text is not None:
            log.tally.add_text(entry.text, output_tokens=entry.output_tokens)
            continue
        match decode_event(entry.data).event:
            case Accepted(ticket=Envelope() as ticket):
                log.ticket_digest = ticket.digest
            case Citation() as citation:
                log.tally.add_citation(citation, size_bytes=len(entry.data))
            case Metered(meter=envelope):
                meter = open_envelope(envelope, Meter).value
                log.tally.told, log.metered = meter.usage, meter.charge
    return log
