"""Mutants of signed answers, of whose they are, and of how long they are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from typing import Any

from consilience.asks import Intake
from consilience.errors import AnswerUnknownError
from consilience.identity import KeyPair
from consilience.nodes import SigningKey
from consilience.server import answers, asks, cards, endings, finals, runs, scripts, workplaces
from consilience.server.conclusions import Conclusion
from consilience.server.store.memory import MemoryStore
from consilience.units import Digest
from consilience_node.mutants.registry import mutant, replace


def _signed_otherwise(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Ends every answer from changed facts."""

    def otherwise(make: Callable[..., Any]) -> Callable[..., Any]:
        def signed_answer(ask: Any, **facts: Any) -> Any:
            told = change({"ask": ask, **facts})
            return make(told.pop("ask"), **told)

        return signed_answer

    replace(endings, "signed_answer", otherwise)


@mutant("signed-by-an-unlisted-key")
def _signed_by_an_unlisted_key() -> None:
    """A key signs answers that stands in no card."""
    key = KeyPair.generate()
    _signed_otherwise(lambda facts: {**facts, "signer": key})


@mutant("signed-by-an-expired-key")
def _signed_by_an_expired_key() -> None:
    """The card lists a second signing key, which ended before it was issued, and answers are signed with that."""
    key = KeyPair.generate()

    def listing(make: Callable[..., Any]) -> Callable[..., Any]:
        def card(**told: Any) -> Any:
            ended = SigningKey(public_key=key.public_key, expire_time=datetime.now(UTC) - timedelta(hours=1))
            return make(**{**told, "signing_keys": (*told["signing_keys"], ended)})

        return card

    replace(cards, "NodeCard", listing)
    _signed_otherwise(lambda facts: {**facts, "signer": key})


@mutant("answer-of-another-ask")
def _answer_of_another_ask() -> None:
    """An answer names another ask than the one that it answers."""
    _signed_otherwise(lambda facts: {**facts, "ask": changed(facts["ask"], ask_digest=Digest(bytes(32)))})


@mutant("usage-off-by-one")
def _usage_off_by_one() -> None:
    """The usage counts a byte too many."""

    def generous(make: Callable[..., Any]) -> Callable[..., Any]:
        def usage(**counts: Any) -> Any:
            if "output_bytes" in counts:
                counts["output_bytes"] += 1
            return make(**counts)

        return usage

    replace(finals, "Usage", generous)


@mutant("citations-backwards")
def _citations_backwards() -> None:
    """An answer names its sources in another order than the log."""

    def backwards(facts: dict[str, Any]) -> dict[str, Any]:
        facts["tally"].citations.reverse()
        return facts

    _signed_otherwise(backwards)


@mutant("intake-withheld")
def _intake_withheld() -> None:
    """What was read to make an answer is not told, though the card says that it is."""
    _signed_otherwise(lambda facts: {**facts, "conclusion": changed(facts["conclusion"], intake=None)})


@mutant("intake-made-up")
def _intake_made_up() -> None:
    """An answer whose skill tells nothing of what it read says that it read nothing."""

    def made_up(conclude: Callable[..., Any]) -> Callable[..., Any]:
        def conclusion(self: Any) -> Any:
            told = conclude(self)
            return changed(told, intake=told.intake or Intake())

        return conclusion

    replace(scripts._Performance, "conclusion", made_up)


@mutant("failure-as-an-answer")
def _failure_as_an_answer() -> None:
    """An answer that the engine could not finish ends as if it were whole."""
    replace(runs, "FAILURE", lambda _: Conclusion())


@mutant("stranger-told-apart")
def _stranger_told_apart() -> None:
    """A stranger is told that there is an answer, and that it is somebody else's."""

    def talkative(find: Callable[..., Any]) -> Callable[..., Any]:
        async def answer_of(self: Any, call: Any) -> Any:
            try:
                return await find(self, call)
            except AnswerUnknownError:
                if _of_anyone(self.answers, call.ask_request_id) is None:
                    raise
                raise AnswerUnknownError("this answer is not yours") from None

        return answer_of

    replace(asks.AskService, "_answer_of", talkative)


@mutant("stranger-reads")
def _stranger_reads() -> None:
    """Whoever knows the request id of an ask gets its answer."""

    def open_to_all(find: Callable[..., Any]) -> Callable[..., Any]:
        async def answer_of(self: Any, call: Any) -> Any:
            try:
                return await find(self, call)
            except AnswerUnknownError:
                found = _of_anyone(self.answers, call.ask_request_id)
                if found is None:
                    raise
                return await self.answers.find(found)

        return answer_of

    replace(asks.AskService, "_answer_of", open_to_all)


def _of_anyone(kept: answers.Answers, request_id: bytes) -> Any:
    store = kept._workplace.store
    known = store._answers if isinstance(store, MemoryStore) else {}
    return next((key for key in known if key.request_id == request_id), None)


@mutant("retention-too-short")
def _retention_too_short() -> None:
    """An answer is kept for a minute less than the card promises."""

    def shorter(keep: Callable[..., Any]) -> Callable[..., Any]:
        def keep_until(self: Any, ask: Any, *, finish_time: Any) -> Any:
            return keep(self, ask, finish_time=finish_time) - timedelta(minutes=1)

        return keep_until

    replace(workplaces.Workplace, "keep_until", shorter)
