import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from consilience.asks import (
    ByteSpan,
    Citation,
    Confidence,
    Intake,
    Outcome,
    Progress,
    StopReason,
    Usage,
)
from consilience.errors import UsageError
from consilience.identity import KeyPair
from consilience.nodes import Model
from consilience.server import Conclusion, Handler, IncomingAsk, Item, Node, exceeded
from consilience.units import Digest
from sdk.tests.server.callers import calling

ANYWHERE = "127.0.0.1:0"


async def answer_of(handler: Handler, *, key: KeyPair, **skill: Any) -> tuple[str, Any]:
    """Returns text and signed answer of a skill that is asked once."""
    node = Node("test", key=key, models=[Model(id="small")])
    node.skill("it", **skill)(handler)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, reading = await caller.ask(skill_id="it")
    return reading.text, reading.final.answer.value


async def test_what_a_handler_concludes_stands_in_the_signed_answer(key: KeyPair) -> None:
    conclusion = Conclusion(
        outcome=Outcome.ABSTAINED,
        stop_reason=StopReason.NO_KNOWLEDGE,
        detail="nothing here is about that",
        confidence=Confidence(method="topic-match", p_correct=0.25, lower=0.125, upper=0.5),
        model=Model(id="small"),
        intake=Intake(prompt_tokens_received=9, prompt_tokens_used=9, retrieval_strategy="bm25"),
        usage=Usage(input_tokens=9, cached_input_tokens=4, output_tokens=2, hidden_tokens=1),
    )

    async def conclude(_ask: IncomingAsk) -> AsyncIterator[Item]:
        yield "Hm."
        yield conclusion

    text, answer = await answer_of(conclude, key=key)
    assert text == "Hm."
    for name in ("outcome", "stop_reason", "detail", "confidence", "model", "intake"):
        assert getattr(answer, name) == getattr(conclusion, name)
    assert (answer.usage.input_tokens, answer.usage.cached_input_tokens) == (9, 4)
    assert (answer.usage.output_tokens, answer.usage.hidden_tokens, answer.usage.output_bytes) == (2, 1, 3)
    assert answer.usage.duration == answer.finish_time - answer.accept_time


async def test_nothing_is_heard_after_the_conclusion(key: KeyPair) -> None:
    async def overrun(_ask: IncomingAsk) -> AsyncIterator[Item]:
        yield "one"
        yield Conclusion()
        yield "two"

    text, _ = await answer_of(overrun, key=key)
    assert text == "one"


async def test_a_handler_that_says_nothing_gives_an_empty_answer(key: KeyPair) -> None:
    async def silent(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield ""

    text, answer = await answer_of(silent, key=key)
    assert (text, answer.outcome, answer.final_sequence) == ("", Outcome.ANSWERED, 2)


async def test_a_handler_that_fails_ends_the_answer_without_internals(
    key: KeyPair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def fail(ask: IncomingAsk) -> AsyncIterator[str]:
        yield "so far"
        raise ZeroDivisionError(f"cannot divide {ask.text}")

    text, answer = await answer_of(fail, key=key)
    assert text == "so far"
    assert (answer.outcome, answer.stop_reason) == (Outcome.FAILED, StopReason.ENGINE_FAILURE)
    assert "ZeroDivisionError" not in answer.detail
    assert "ZeroDivisionError" in caplog.text
    assert "cannot divide say" not in caplog.text


async def test_a_refusal_that_comes_after_acceptance_is_told_in_the_answer(key: KeyPair) -> None:
    async def refuse(_ask: IncomingAsk) -> AsyncIterator[str]:
        raise exceeded("max_input_tokens", maximum=10, requested=11)
        yield "never"

    _, answer = await answer_of(refuse, key=key)
    assert (answer.outcome, answer.stop_reason) == (Outcome.FAILED, StopReason.ENGINE_FAILURE)
    assert "max_input_tokens is 10" in answer.detail


DEFECTS: dict[str, Callable[[], object]] = {
    "bytes": lambda: b"bytes",
    "half a surrogate pair": lambda: "\ud83e",
    "progress without a message": lambda: Progress(message=""),
    "the answer of nobody": lambda: Citation(origin=Digest(b"")),
}


@pytest.mark.parametrize("name", DEFECTS)
async def test_what_cannot_be_sent_fails_the_answer_and_harms_no_log(key: KeyPair, name: str) -> None:
    async def defective(_ask: IncomingAsk) -> AsyncIterator[Any]:
        yield "before"
        yield DEFECTS[name]()
        yield "after"

    text, answer = await answer_of(defective, key=key)
    assert (text, answer.outcome) == ("before", Outcome.FAILED)


async def test_an_answer_names_no_more_sources_than_fit(key: KeyPair) -> None:
    async def quote(_ask: IncomingAsk) -> AsyncIterator[Citation]:
        for number in range(257):
            span = ByteSpan(start_byte=number, end_byte=number)
            yield Citation(origin=Digest(bytes(32)), answer_span=span)

    _, answer = await answer_of(quote, key=key)
    assert (answer.outcome, len(answer.citations)) == (Outcome.FAILED, 256)


@pytest.mark.parametrize("promise", ["gives_citations", "gives_confidence", "gives_intake"])
async def test_an_answer_that_lacks_what_the_card_promises_is_no_answer(key: KeyPair, promise: str) -> None:
    async def bare(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "trust me"

    _, answer = await answer_of(bare, key=key, **{promise: True})
    assert (answer.outcome, answer.stop_reason) == (Outcome.FAILED, StopReason.ENGINE_FAILURE)
    assert promise.removeprefix("gives_") in answer.detail


@pytest.mark.parametrize("promise", ["gives_citations", "gives_confidence"])
async def test_an_abstention_needs_neither_sources_nor_confidence(key: KeyPair, promise: str) -> None:
    async def abstain(_ask: IncomingAsk) -> AsyncIterator[Conclusion]:
        yield Conclusion(outcome=Outcome.ABSTAINED, stop_reason=StopReason.LOW_CONFIDENCE)

    _, answer = await answer_of(abstain, key=key, **{promise: True})
    assert answer.outcome is Outcome.ABSTAINED


async def test_a_handler_that_yields_nothing_is_refused_when_it_is_registered(key: KeyPair) -> None:
    node = Node("test", key=key)
    with pytest.raises(UsageError, match="yield"):

        @node.skill("it")  # type: ignore[type-var]
        async def it(_ask: IncomingAsk) -> str:
            return "text"


@pytest.mark.parametrize("skill_id", ["Upper", "", "with space", "x" * 65, "-dash"])
async def test_a_malformed_skill_id_is_refused_when_it_is_registered(key: KeyPair, skill_id: str) -> None:
    async def it(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "text"

    with pytest.raises(UsageError):
        Node("test", key=key).skill(skill_id)(it)


async def test_a_skill_is_registered_once_and_with_models_of_the_node(key: KeyPair) -> None:
    async def it(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "text"

    node = Node("test", key=key)
    node.skill("it")(it)
    with pytest.raises(UsageError, match="twice"):
        node.skill("it")(it)
    with pytest.raises(UsageError, match="models"):
        node.skill("other", model_ids=["large"])(it)


def test_a_generator_that_is_not_async_is_refused_before_it_serves(key: KeyPair) -> None:
    def plain(_ask: IncomingAsk) -> Iterator[Item]:
        yield "text"

    node: Any = Node("test", key=key)
    with pytest.raises(UsageError, match="write `async def`"):
        node.skill("plain")(plain)
