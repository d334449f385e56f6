"""Mutants of the noun ask: admission, and what binds an ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace as changed
from datetime import timedelta
from typing import Any

from consilience.asks import Ask
from consilience.calls import check_freshness, new_request_id
from consilience.envelopes import Signed
from consilience.errors import (
    LimitExceeded,
    LimitExceededError,
    MediaTypeUnsupportedError,
    ModelUnknownError,
    RequestIdReusedError,
    StaleCardError,
)
from consilience.nodes import DataClass
from consilience.server import admission, asks
from consilience.server.admission import OpenedAsk
from consilience.server.asks import AskService
from consilience.server.cards import CardIssuer
from consilience.server.skills import SkillBook
from consilience_node.mutants.registry import mutant, replace
from consilience_node.skills import grounded, plain

Check = Callable[..., Any]

_COPIES_THAT_ATTACH = 2


def _with(opened: OpenedAsk, **changes: Any) -> OpenedAsk:
    """Returns an ask as if its caller had signed it otherwise."""
    signed = opened.signed
    return changed(opened, signed=Signed(value=changed(signed.value, **changes), envelope=signed.envelope))


def _silent(_: Check) -> Check:
    def check(*_: Any, **__: Any) -> None:
        """Sees nothing."""

    return check


@mutant("request-id-reused-ok")
def _request_id_reused_ok() -> None:
    """Another ask under a bound request id gets the answer of the first."""
    replace(asks, "_check_reuse", _silent)


def _begin_anew(when: Callable[[AskService, Signed[Ask]], bool]) -> None:
    """Has the node work once more on an ask that it has seen."""
    seen: set[bytes] = set()

    def anew(accept: Check) -> Check:
        async def begin(self: AskService, opened: OpenedAsk, **more: Any) -> Any:
            digest = opened.signed.digest
            if digest in seen and when(self, opened.signed):
                opened = _with(opened, header=changed(opened.signed.value.header, request_id=new_request_id()))
            seen.add(digest)
            return await accept(self, opened, **more)

        return begin

    replace(AskService, "_accept", anew)


@mutant("copies-run-apart")
def _copies_run_apart() -> None:
    """The third copy of an ask and those after it are worked on once more each."""
    copies: Counter[bytes] = Counter()

    def third(_: AskService, signed: Signed[Ask]) -> bool:
        copies[signed.digest] += 1
        return copies[signed.digest] > _COPIES_THAT_ATTACH

    _begin_anew(third)


@mutant("forgets-before-expiry")
def _forgets_before_expiry() -> None:
    """A copy that comes after its header expired, and within the skew of clocks, is worked on once more."""
    _begin_anew(lambda service, signed: service.clock() > signed.value.header.expire_time)


@mutant("freshness-before-reuse")
def _freshness_before_reuse() -> None:
    """The time of an ask is checked before its request id is looked up."""

    def early(accept: Check) -> Check:
        async def check(self: AskService, opened: OpenedAsk, **more: Any) -> Any:
            check_freshness(opened.signed.value.header, now=self.clock())
            return await accept(self, opened, **more)

        return check

    replace(AskService, "_accept", early)


@mutant("reject-but-commit")
def _reject_but_commit() -> None:
    """An ask that relies on an unknown card is refused, and bound all the same."""

    def binding(start: Check) -> Check:
        async def bind(self: AskService, opened: OpenedAsk, **more: Any) -> Any:
            try:
                return await start(self, opened, **more)
            except StaleCardError:
                await start(self, _with(opened, card_digest=self.cards.current.digest), **more)
                raise

        return bind

    replace(AskService, "_start", binding)


@mutant("request-ids-are-of-all")
def _request_ids_are_of_all() -> None:
    """A request id that one caller has used is not free for the others."""
    takers: dict[bytes, bytes] = {}

    def jealous(accept: Check) -> Check:
        async def begin(self: AskService, opened: OpenedAsk, **more: Any) -> Any:
            header = opened.signed.value.header
            if takers.get(header.request_id, header.caller) != header.caller:
                raise RequestIdReusedError("the request id is bound to another ask")
            found = await accept(self, opened, **more)
            takers[header.request_id] = header.caller
            return found

        return begin

    replace(AskService, "_accept", jealous)


@mutant("short-circuit")
def _short_circuit() -> None:
    """A part that the skill does not read is refused by the check before, as if the model were unknown."""

    def earlier(check: Check) -> Check:
        def look(*of: Any) -> None:
            try:
                check(*of)
            except MediaTypeUnsupportedError as error:
                raise ModelUnknownError(str(error), detail=error.detail) from error

        return look

    replace(admission, "_check_media", earlier)


@mutant("any-skill-ok")
def _any_skill_ok() -> None:
    """A skill that there is not is answered by the first one that there is."""

    def lenient(get: Check) -> Check:
        return lambda self, skill_id: get(self, skill_id) or get(self, self.ids[0])

    replace(SkillBook, "get", lenient)


@mutant("any-card-ok")
def _any_card_ok() -> None:
    """An ask may rely on any card."""

    def honouring(_: Check) -> Check:
        async def honours(*_: Any, **__: Any) -> bool:
            return True

        return honours

    replace(CardIssuer, "honours", honouring)


@mutant("any-model-ok")
def _any_model_ok() -> None:
    """A model that the skill does not list is as good as one that it does, where another skill may have it."""

    def lenient(check: Check) -> Check:
        def look(model_id: str, **of: Any) -> None:
            if not model_id.startswith("no-such-model"):
                return
            check(model_id, **of)

        return look

    replace(admission, "check_model", lenient)


@mutant("any-media-type-ok")
def _any_media_type_ok() -> None:
    """Parts of every media type are taken."""
    replace(admission, "_check_media", _silent)


@mutant("any-answer-schema-ok")
def _any_answer_schema_ok() -> None:
    """A schema for the answer is dropped unread."""

    def dropping(admit: Check) -> Check:
        def look(signed: Signed[Ask], **rules: Any) -> Any:
            bare = changed(signed.value, answer_schema="")
            return admit(Signed(value=bare, envelope=signed.envelope), **rules)

        return look

    replace(asks, "admit", dropping)


@mutant("any-data-class-ok")
def _any_data_class_ok() -> None:
    """Confidential data is taken by a node whose card reads less."""

    def lenient(check: Check) -> Check:
        return lambda ask, *of: None if ask.data_class is DataClass.CONFIDENTIAL else check(ask, *of)

    replace(admission, "_check_data_class", lenient)


@mutant("passed-deadline-ok")
def _passed_deadline_ok() -> None:
    """An ask whose deadline has passed is begun."""

    def lenient(check: Check) -> Check:
        def deadline(ask: Ask, limits: Any, now: Any) -> Any:
            asked = ask.limits.deadline
            return now + limits.max_run_time if asked is not None and asked <= now else check(ask, limits, now)

        return deadline

    replace(admission, "_deadline", lenient)


@mutant("one-more-than-the-limit")
def _one_more_than_the_limit() -> None:
    """One turn more than the card allows is taken."""

    def generous(check: Check) -> Check:
        def look(ask: Ask, limits: Any) -> None:
            check(ask, changed(limits, max_turns=limits.max_turns + 1))

        return look

    replace(admission, "_check_amounts", generous)


@mutant("limit-reached-is-exceeded")
def _limit_reached_is_exceeded() -> None:
    """As many bytes as the card allows are one too many."""

    def mean(check: Check) -> Check:
        def look(ask: Ask, limits: Any) -> None:
            check(ask, changed(limits, max_input_bytes=limits.max_input_bytes - 1))

        return look

    replace(admission, "_check_amounts", mean)


@mutant("wrong-limit-in-the-detail")
def _wrong_limit_in_the_detail() -> None:
    """A refusal for a limit names the one after it."""

    def wrong(exceeded: Check) -> Check:
        def name(limit: str, *, maximum: int, requested: int) -> LimitExceededError:
            error: LimitExceededError = exceeded(limit, maximum=maximum, requested=requested)
            detail = LimitExceeded(limit="max_readers_per_answer", maximum=maximum, requested=requested)
            return LimitExceededError(str(error), detail=detail)

        return name

    replace(admission, "exceeded", wrong)


@mutant("run-time-without-bound")
def _run_time_without_bound() -> None:
    """A deadline may lie beyond max_run_time."""

    def generous(check: Check) -> Check:
        return lambda ask, limits, now: check(ask, changed(limits, max_run_time=timedelta(days=365)), now)

    replace(admission, "_deadline", generous)


@mutant("message-without-bound")
def _message_without_bound() -> None:
    """A request may be larger than max_message_bytes."""
    replace(admission, "check_size", _silent)


@mutant("truncates-silently")
def _truncates_silently() -> None:
    """A prompt that is too long is not refused: what does not fit is dropped, and nobody is told."""

    def dropping(_: Check) -> Check:
        async def drop(*_: Any, **__: Any) -> None:
            """Leaves the rest to the engine, which reads what fits."""

        return drop

    for skill in (plain, grounded):
        replace(skill, "require_prompt_fits", dropping)
