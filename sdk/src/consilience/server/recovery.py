"""Recovery: the end of answers that nobody works on any more, because their process died (ASK-DUR-002).

Each gets a signed Final, FAILED for INTERRUPTED, over the text that had been stored; so a reader that was shown
anything before the crash finds the very same bytes under the signature.
"""

from __future__ import annotations

import logging
from datetime import datetime

from consilience._wire.events import decode_event
from consilience.asks import Citation, Outcome, StopReason
from consilience.server.conclusions import Conclusion
from consilience.server.finals import Tally, final_entry
from consilience.server.readers import read_all
from consilience.server.runs import Workplace
from consilience.server.store.contract import LeaseLostError, StoredAsk
from consilience.units import Sequence

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
    tally = Tally()
    for entry in await read_all(workplace.store, ask.key):
        tally.last_sequence = Sequence(entry.sequence)
        if entry.text is not None:
            tally.add_text(entry.text)
        elif isinstance(event := decode_event(entry.data).event, Citation):
            tally.add_citation(event, size_bytes=len(entry.data))
    final, answer = final_entry(
        ask,
        tally=tally,
        conclusion=_INTERRUPTED,
        node_id=workplace.node_id,
        signer=workplace.keys.signer(now=finish_time),
        finish_time=finish_time,
    )
    await workplace.store.finish(
        ask.key,
        (final,),
        epoch=ask.epoch,
        finish_time=answer.finish_time,
        keep_until_time=workplace.keep_until(ask, finish_time=now),
    )
