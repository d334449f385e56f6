"""Answers: which there are, who works on them, and who reads them (spec sections 2.2 to 2.4).

The key of an answer is (caller, request id). A key is bound once, whatever number of copies of an ask arrive together:
while the first is on its way to acceptance, the others wait for it and then attach to its answer.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from consilience._wire.events import decode_event, encode_event
from consilience.asks import Accepted, AnswerEvent, AnswerSnapshot, Ask, Final, StopReason
from consilience.envelopes import Envelope, Signed
from consilience.errors import AnswerUnknownError, NodeFaultError, Redirect, SequenceUnknownError, WrongReplicaError
from consilience.server.load import Load, Place, exceeded
from consilience.server.payments.metering import PaidAsk
from consilience.server.readers import POLL_SECONDS, Write, read_all, send_log, send_stored
from consilience.server.runs import AnswerRun
from consilience.server.skills import IncomingAsk, ServedSkill
from consilience.server.store.contract import FIRST_SEQUENCE, AnswerStore, AskKey, LogEntry, StoredAsk, StoreFullError
from consilience.server.tickets import ticket_for
from consilience.server.workplaces import Workplace
from consilience.telemetry import AskTrace
from consilience.units import Sequence

FROM_THE_BEGINNING = Sequence(0)

END_SECONDS = 5.0
"""How long a cancellation waits for whoever is ending an answer that is not worked on here."""

ROOM_PAUSE = timedelta(seconds=5)
"""How long after the time of an answer has passed there is room for another."""

_LOGGER = logging.getLogger(__name__)


class Answers:
    """The answers of a node: those that this process works on, and behind them everything in the store."""

    def __init__(self, workplace: Workplace, *, load: Load, max_readers: int) -> None:
        """Begins with what the store holds.

        Args:
            workplace: What all answers share.
            load: Counts the running ones.
            max_readers: The `max_readers_per_answer` of the card.
        """
        self._workplace = workplace
        self._load = load
        self._max_readers = max_readers
        self._runs: dict[AskKey, AnswerRun] = {}
        self._admissions: dict[AskKey, asyncio.Event] = {}
        self._readers: dict[AskKey, int] = {}

    @property
    def durable(self) -> bool:
        """Whether answers outlive the process."""
        return self._workplace.store.durable

    @property
    def running(self) -> tuple[AnswerRun, ...]:
        """The answers that this process works on."""
        return tuple(self._runs.values())

    async def find(self, key: AskKey) -> AnswerRun | StoredAsk | None:
        """Returns the answer under a key: the work on it, where that is done here, else what the store knows.

        Where it returns None, nothing is bound to the key and nobody is about to bind it, until the next `await`.
        """
        while True:
            if (run := self._runs.get(key)) is not None:
                return run
            if (admission := self._admissions.get(key)) is not None:
                await admission.wait()
                continue
            stored = await self._workplace.store.find(key)
            if key not in self._runs and (stored is not None or key not in self._admissions):
                return stored

    def begin_admission(self, key: AskKey) -> None:
        """Makes the copies of an ask wait in `find`. Call it in the same step in which `find` returned None."""
        self._admissions[key] = asyncio.Event()

    def end_admission(self, key: AskKey) -> None:
        """Lets the copies go on: the ask was accepted or refused."""
        self._admissions.pop(key).set()

    async def start(
        self,
        signed: Signed[Ask],
        *,
        incoming: IncomingAsk,
        served: ServedSkill,
        place: Place,
        trace: AskTrace,
        paid: PaidAsk | None = None,
    ) -> AnswerRun | StoredAsk:
        """Binds the key, writes Accepted, and begins the work, which holds the place until it is over.

        Where the ask is paid for, its first window is set aside in the same step.

        Returns:
            The work; or, where another replica was quicker, the ask that it bound.

        Raises:
            StoreUnavailableError: Nothing was bound.
            NodeFaultError: Nothing was bound, because the store is full; it says when there may be room.
            StoreError: Nothing was bound, because the session does not cover it: as `AnswerStore.bind`.
        """
        header, workplace = signed.value.header, self._workplace
        now = workplace.clock()
        ask = StoredAsk(
            key=AskKey(caller=header.caller, request_id=header.request_id),
            ask_digest=incoming.digest,
            card_digest=signed.value.card_digest,
            accept_time=now,
            expire_time=header.expire_time,
            replica=workplace.store.replica,
        )
        try:
            ticket = self._ticket(signed.value, now=now)
            opening = Accepted(ask_digest=incoming.digest, accept_time=now, ticket=ticket)
            event = AnswerEvent(sequence=FIRST_SEQUENCE, event=opening)
            accepted = LogEntry(sequence=FIRST_SEQUENCE, data=encode_event(event))
            earlier = await workplace.store.bind(
                ask, first=accepted, reservation=None if paid is None else paid.reservation
            )
        except StoreFullError as error:
            self._load.give_back(place)
            raise _no_room(error, now=now) from error
        except BaseException:
            self._load.give_back(place)
            raise
        if earlier is not None:
            self._load.give_back(place)
            trace.abandoned()
            return earlier

        def end(run: AnswerRun) -> None:
            del self._runs[run.key]
            self._load.give_back(place)

        run = AnswerRun(
            ask,
            accepted=accepted,
            incoming=incoming,
            served=served,
            workplace=workplace,
            on_end=end,
            paid=paid,
            ticket_digest=None if ticket is None else ticket.digest,
            trace=trace,
        )
        self._runs[ask.key] = run
        run.start()
        return run

    def reader(self, found: AnswerRun | StoredAsk, *, after: Sequence = FROM_THE_BEGINNING) -> AnswerReader:
        """Opens a stream over an answer; close it.

        Args:
            found: What `find` or `start` returned.
            after: The sequence to read on from; 0: from the beginning.

        Raises:
            SequenceUnknownError: The log has not reached it (STRM-CUR-003).
            LimitExceededError: `max_readers_per_answer`.
        """
        key = found.key
        last = found.log.last_sequence if isinstance(found, AnswerRun) else found.last_sequence
        if after > last:
            raise SequenceUnknownError(f"the log has {last} events, none to read on from behind {after}")
        readers = self._readers.get(key, 0) + 1
        if readers > self._max_readers:
            raise exceeded("max_readers_per_answer", maximum=self._max_readers, requested=readers)
        self._readers[key] = readers
        run = found if isinstance(found, AnswerRun) else None
        return AnswerReader(key, after=after, run=run, store=self._workplace.store, readers=self._readers)

    async def snapshot(self, found: AnswerRun | StoredAsk) -> AnswerSnapshot:
        """Returns what there is of an answer.

        Raises:
            AnswerUnknownError: It was dropped just now.
        """
        store = self._workplace.store
        entries = found.log.entries if isinstance(found, AnswerRun) else await read_all(store, found.key)
        stored = await store.find(found.key)
        return AnswerSnapshot(
            last_sequence=entries[-1].sequence,
            text="".join(entry.text for entry in entries if entry.text is not None),
            final=_final(entries[-1]),
            keep_until_time=stored.keep_until_time if stored is not None else None,
        )

    async def cancel(self, found: AnswerRun | StoredAsk) -> Final:
        """Stops the work on an answer, and returns the Final once it stands in the log (ASK-STOP-001).

        Raises:
            WrongReplicaError: Another process works on it.
            NodeFaultError: Nobody works on it, and nobody has ended it within `END_SECONDS`.
            AnswerUnknownError: It was dropped just now.
        """
        store = self._workplace.store
        if isinstance(found, AnswerRun):
            found.stop(StopReason.CANCELLED)
            await found.ended()
            if (entry := found.log.final) is not None and (final := _final(entry)) is not None:
                return final
        elif not found.finished and found.replica != store.replica:
            raise _wrong_replica(found.replica)
        patience = asyncio.get_running_loop().time() + END_SECONDS
        while (ask := await store.find(found.key)) is not None:
            if ask.finished:
                (last,) = await store.read(ask.key, after=Sequence(ask.last_sequence - 1), limit=1)
                if (final := _final(last)) is not None:
                    return final
            if asyncio.get_running_loop().time() > patience:
                raise NodeFaultError("the answer has no end, and nobody works on it until the node is started again")
            await asyncio.sleep(POLL_SECONDS)
        raise AnswerUnknownError("the answer is not kept any more")

    def _ticket(self, ask: Ask, *, now: datetime) -> Envelope | None:
        """Returns the ticket of an ask that is accepted now, or None where it wants none."""
        if not ask.reviewer_commitment:
            return None
        place = self._workplace
        return ticket_for(ask, node_id=place.node_id, signer=place.keys.signer(now=now), accept_time=now)

    async def settled(self) -> None:
        """Returns when this process works on no answer, and is about to accept none."""
        while self._runs or self._admissions:
            for run in self.running:
                await run.ended()
            for admission in tuple(self._admissions.values()):
                await admission.wait()


class AnswerReader:
    """One stream over one answer: a position in its log."""

    __slots__ = ("_after", "_key", "_readers", "_run", "_store")

    def __init__(
        self,
        key: AskKey,
        *,
        after: Sequence,
        run: AnswerRun | None,
        store: AnswerStore,
        readers: dict[AskKey, int],
    ) -> None:
        """Begins behind a sequence; `readers` holds the count that `close` takes this stream off again."""
        self._key = key
        self._after = after
        self._run = run
        self._store = store
        self._readers = readers
        if run is not None:
            run.reader_came()

    async def send(self, write: Write) -> bytes:
        """Sends the log but for the message that ends it, and returns that one; none where the reader had it already.

        Raises:
            AnswerUnknownError: The answer was dropped meanwhile.
        """
        after = self._after
        if self._run is not None:
            message, after = await send_log(self._run.log, after=after, write=write)
            if not self._run.log.lost:
                return message
        return await send_stored(self._store, self._key, after=after, write=write)

    def close(self) -> None:
        """Ends the stream: the reader has everything, or is gone."""
        if left := self._readers.pop(self._key) - 1:
            self._readers[self._key] = left
        if self._run is not None:
            self._run.reader_left()


def _final(entry: LogEntry) -> Final | None:
    """Returns the Final of the last entry of a log, or None where the log goes on."""
    event = decode_event(entry.data).event if entry.text is None else None
    return event if isinstance(event, Final) else None


def _no_room(error: StoreFullError, *, now: datetime) -> NodeFaultError:
    _LOGGER.warning("an ask is refused: %s; %s", error, error.remedy)
    wait = max(error.room_time - now, timedelta(0)) if error.room_time is not None else timedelta(0)
    return NodeFaultError("the node keeps as many answers as it can", retry_after=wait + ROOM_PAUSE)


def _wrong_replica(replica: str) -> WrongReplicaError:
    known = "://" in replica
    return WrongReplicaError(
        "another replica of this node works on the answer", detail=Redirect(uri=replica) if known else None
    )
