import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from consilience._wire.events import decode_event, encode_event
from consilience.asks import (
    Accepted,
    Answer,
    AnswerEvent,
    Ask,
    Final,
    Outcome,
    Role,
    StopReason,
    TextDelta,
    Turn,
    Usage,
)
from consilience.calls import new_header
from consilience.identity import KeyPair, Signer
from consilience.nodes import DataClass, Skill
from consilience.server.conclusions import Conclusion
from consilience.server.keys import FixedKey, SigningKeys
from consilience.server.observers import SilentObserver
from consilience.server.runs import AnswerRun
from consilience.server.skills import Delta, Handler, IncomingAsk, Item, ServedSkill
from consilience.server.store.contract import AskKey, LogEntry, StoredAsk
from consilience.server.store.memory import MemoryStore
from consilience.server.workplaces import Workplace
from consilience.units import Digest, PublicKey, Sequence, utc_now


class Events(SilentObserver):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def accepted(self, **what: Any) -> None:
        self.told.append(("accepted", what))

    def first_delta(self, **what: Any) -> None:
        self.told.append(("first_delta", what))

    def finished(self, **what: Any) -> None:
        self.told.append(("finished", what))

    def charged(self, **what: Any) -> None:
        self.told.append(("charged", what))


@pytest.fixture
def observer() -> Events:
    return Events()


@pytest.fixture
async def work(key: KeyPair, observer: Events) -> AsyncIterator[Callable[..., Any]]:
    store = MemoryStore()
    await store.open(replica="test", lease_until=utc_now())

    async def bound(
        handler: Handler, *, clock: Callable[[], datetime] = utc_now, keys: SigningKeys | None = None
    ) -> AnswerRun:
        """Returns a run that is bound and not started."""
        place = Workplace(
            node_id=key.public_key,
            keys=keys or FixedKey(key),
            store=store,
            retention=timedelta(minutes=1),
            max_run_time=timedelta(minutes=1),
            observer=observer,
            clock=clock,
        )
        now = clock()
        header = new_header(method="m", audience=key.public_key, caller=PublicKey(bytes(32)), now=now)
        ask = Ask(
            header=header,
            skill_id="it",
            card_digest=Digest(bytes(32)),
            turns=(Turn(role=Role.ASKER, parts=("q",)),),
            data_class=DataClass.PUBLIC,
        )
        stored = StoredAsk(
            key=AskKey(caller=header.caller, request_id=header.request_id),
            ask_digest=Digest(bytes(32)),
            card_digest=ask.card_digest,
            accept_time=now,
            expire_time=header.expire_time,
            replica=store.replica,
        )
        opening = AnswerEvent(sequence=Sequence(1), event=Accepted(ask_digest=Digest(bytes(32)), accept_time=now))
        accepted = LogEntry(sequence=Sequence(1), data=encode_event(opening))
        await store.bind(stored, first=accepted)
        incoming = IncomingAsk(
            ask=ask,
            digest=Digest(bytes(32)),
            skill=Skill(id="it"),
            max_output_tokens=0,
            max_input_tokens=0,
            deadline=now + timedelta(minutes=1),
        )
        served = ServedSkill(skill=incoming.skill, handler=handler)
        return AnswerRun(
            stored, accepted=accepted, incoming=incoming, served=served, workplace=place, on_end=lambda _: None
        )

    yield bound
    await store.close()


async def answer_of(run: AnswerRun) -> Answer:
    await run.ended()
    entry = run.log.final
    assert entry is not None
    event = decode_event(entry.data).event
    assert isinstance(event, Final)
    return event.answer.value


async def one_word(_ask: IncomingAsk) -> AsyncIterator[str]:
    yield "word"


async def test_a_run_stopped_before_its_first_step_never_starts_its_handler(work: Callable[..., Any]) -> None:
    started = False

    async def handler(_ask: IncomingAsk) -> AsyncIterator[str]:
        nonlocal started
        started = True
        yield "word"

    run = await work(handler)
    run.start()
    run.stop(StopReason.CANCELLED)
    answer = await answer_of(run)
    assert not started
    assert (answer.outcome, answer.stop_reason) == (Outcome.CANCELLED, StopReason.CANCELLED)


async def test_the_first_reason_to_stop_is_the_one_that_counts(work: Callable[..., Any]) -> None:
    async def handler(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "word"
        await asyncio.Event().wait()

    run = await work(handler)
    run.start()
    await asyncio.sleep(0.01)
    run.stop(StopReason.DISCONNECTED)
    run.stop(StopReason.CANCELLED)
    assert (await answer_of(run)).stop_reason is StopReason.DISCONNECTED


async def test_a_stop_that_comes_too_late_changes_nothing(work: Callable[..., Any]) -> None:
    run = await work(one_word)
    run.start()
    await run.ended()
    run.stop(StopReason.CANCELLED)
    await asyncio.sleep(0)
    assert (await answer_of(run)).outcome is Outcome.ANSWERED


async def test_a_handler_that_cleans_up_after_a_stop_is_waited_for(work: Callable[..., Any]) -> None:
    cleaned = False

    async def handler(_ask: IncomingAsk) -> AsyncIterator[str]:
        nonlocal cleaned
        yield "word"
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            cleaned = True

    run = await work(handler)
    run.start()
    await asyncio.sleep(0.01)
    run.stop(StopReason.CANCELLED)
    await answer_of(run)
    assert cleaned


async def test_a_handler_that_fails_while_it_is_stopped_is_stopped_all_the_same(work: Callable[..., Any]) -> None:
    async def handler(_ask: IncomingAsk) -> AsyncIterator[str]:
        try:
            yield "word"
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    run = await work(handler)
    run.start()
    await asyncio.sleep(0.01)
    run.stop(StopReason.CANCELLED)
    answer = await answer_of(run)
    assert (answer.outcome, answer.stop_reason) == (Outcome.CANCELLED, StopReason.CANCELLED)


async def test_something_cancelled_inside_a_handler_is_its_failure_and_not_the_end_of_the_node(
    work: Callable[..., Any],
) -> None:
    async def handler(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "word"
        engine = asyncio.get_running_loop().create_future()
        engine.cancel()
        await engine

    run = await work(handler)
    run.start()
    answer = await answer_of(run)
    assert (answer.outcome, answer.stop_reason) == (Outcome.FAILED, StopReason.ENGINE_FAILURE)


@pytest.mark.parametrize("place", ["await", "yield"])
async def test_a_run_that_is_killed_while_it_is_being_stopped_ends(work: Callable[..., Any], place: str) -> None:
    async def handler(_ask: IncomingAsk) -> AsyncIterator[str]:
        try:
            while True:
                yield "word"
                if place == "await":
                    await asyncio.Event().wait()
        finally:
            await asyncio.Event().wait()

    run = await work(handler)
    run.start()
    await asyncio.sleep(0.01)
    run.stop(StopReason.CANCELLED)
    await asyncio.sleep(0.01)
    run.kill()
    await run.ended()
    assert run.log.lost


async def test_a_conclusion_that_cannot_be_encoded_becomes_a_failure(work: Callable[..., Any]) -> None:
    async def handler(_ask: IncomingAsk) -> AsyncIterator[Item]:
        yield "word"
        yield Conclusion(usage=Usage(output_tokens=2**70))

    run = await work(handler)
    run.start()
    answer = await answer_of(run)
    assert (answer.outcome, answer.transcript_bytes) == (Outcome.FAILED, len("word"))


class KeysOutOfReach(FixedKey):
    """A key that cannot be reached for the first few times."""

    def __init__(self, signer: KeyPair, *, failures: int, error: Exception) -> None:
        super().__init__(signer)
        self.failures = failures
        self.error = error

    def signer(self, *, now: datetime) -> Signer:
        if self.failures:
            self.failures -= 1
            raise self.error
        return super().signer(now=now)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(OSError("out of reach"), Outcome.ANSWERED), (ValueError("no such slot"), Outcome.FAILED)],
)
async def test_an_answer_that_cannot_be_signed_yet_gets_its_final_once_it_can(
    work: Callable[..., Any], key: KeyPair, error: Exception, outcome: Outcome
) -> None:
    run = await work(one_word, keys=KeysOutOfReach(key, failures=2, error=error))
    run.start()
    answer = await answer_of(run)
    assert not run.log.lost
    assert (answer.outcome, answer.transcript_bytes) == (outcome, len("word"))


async def test_a_run_that_waits_for_its_key_can_be_killed(work: Callable[..., Any], key: KeyPair) -> None:
    run = await work(one_word, keys=KeysOutOfReach(key, failures=1_000, error=OSError("out of reach")))
    run.start()
    await asyncio.sleep(0.02)
    assert not run.log.ended
    run.kill()
    await run.ended()
    assert run.log.lost


async def test_an_iterator_that_is_no_generator_serves_too(work: Callable[..., Any]) -> None:
    class Words:
        def __init__(self, ask: IncomingAsk) -> None:
            self.words = [ask.text, "twice"]

        def __aiter__(self) -> AsyncIterator[str]:
            return self

        async def __anext__(self) -> str:
            if not self.words:
                raise StopAsyncIteration
            return self.words.pop(0)

    run = await work(Words)
    run.start()
    assert (await answer_of(run)).transcript_bytes == len("qtwice")


async def test_a_killed_run_leaves_no_final(work: Callable[..., Any]) -> None:
    async def handler(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "word"
        await asyncio.Event().wait()

    run = await work(handler)
    run.start()
    await asyncio.sleep(0.01)
    run.kill()
    await run.ended()
    assert run.log.final is None
    assert run.log.lost


async def test_a_clock_that_is_set_back_makes_no_negative_duration(work: Callable[..., Any]) -> None:
    times = [utc_now()]

    async def handler(_ask: IncomingAsk) -> AsyncIterator[str]:
        times.append(times[0] - timedelta(hours=1))
        yield "word"

    run = await work(handler, clock=lambda: times[-1])
    run.start()
    answer = await answer_of(run)
    assert answer.finish_time == answer.accept_time
    assert answer.usage.duration == timedelta(0)


async def test_an_observer_is_told_numbers_and_no_words(work: Callable[..., Any], observer: Events) -> None:
    run = await work(one_word)
    run.start()
    answer = await answer_of(run)
    assert [what for what, _ in observer.told] == ["accepted", "first_delta", "finished"]
    finished = observer.told[-1][1]
    assert finished["outcome"] is Outcome.ANSWERED
    assert finished["usage"] == answer.usage
    assert isinstance(finished["usage"], Usage)
    assert "word" not in str(observer.told)


async def test_each_delta_is_an_entry_of_its_own(work: Callable[..., Any]) -> None:
    async def handler(_ask: IncomingAsk) -> AsyncIterator[str]:
        for word in ("a", "", "b"):
            yield word

    run = await work(handler)
    run.start()
    await run.ended()
    events = [decode_event(entry.data).event for entry in run.log.entries]
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", "b"]


async def test_what_a_handler_counts_stands_in_its_deltas_and_the_most_of_it_in_the_answer(
    work: Callable[..., Any],
) -> None:
    async def handler(_ask: IncomingAsk) -> AsyncIterator[Item]:
        yield Usage(input_tokens=9)
        yield Delta(text="two words", output_tokens=2)
        yield " more"
        yield Usage(input_tokens=9, hidden_tokens=4)
        yield Conclusion(usage=Usage(output_tokens=1, hidden_tokens=3))

    run = await work(handler)
    run.start()
    answer = await answer_of(run)
    deltas = [entry.output_tokens for entry in run.log.entries if entry.text is not None]
    assert deltas == [2, 0]
    used = answer.usage
    assert (used.input_tokens, used.output_tokens, used.hidden_tokens, used.output_bytes) == (9, 2, 4, 14)
