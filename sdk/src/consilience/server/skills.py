"""Skills as they are served: what a handler is given, what it may yield, and the book that holds them all.

A handler is an async generator function. What it yields becomes the log of the answer: a string is a delta of the
text, a `Citation` names a source, `Progress` tells what it is at, and a `Conclusion`, if there is one, comes last::

    async def convert(ask: IncomingAsk) -> AsyncIterator[Item]:
        yield "12 inches are 30.48 cm."
        yield Conclusion(confidence=Confidence(method="exact", p_correct=1.0))

Where the work is stopped (CancelAnswer, deadline, shut-down), `asyncio.CancelledError` is raised at the place where the
handler waits. A handler that counts tokens may catch it and yield one last `Conclusion`, of which the node then takes
everything but how the answer ended.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from consilience.asks import (
    Ask,
    Citation,
    Confidence,
    DocumentSource,
    Intake,
    Outcome,
    Progress,
    StopReason,
    Turn,
    Usage,
)
from consilience.errors import UsageError
from consilience.nodes import DataClass, Model, Skill
from consilience.server.descriptions import ALL_MILLI, check_skill
from consilience.units import Digest, PublicKey, RequestId

MAX_DETAIL_CHARACTERS = 1024
MAX_PROGRESS_CHARACTERS = 512
MAX_URI_CHARACTERS = 2048
MAX_TITLE_CHARACTERS = 512
MAX_QUOTE_CHARACTERS = 16_384
DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingAsk:
    """An ask that a node took in, with the bounds that hold for it.

    Attributes:
        ask: The ask as its caller signed it.
        digest: The digest of its envelope, 32 bytes.
        skill: The skill that is asked, as the card describes it.
        max_output_tokens: The bound on the answer: the asker's, else that of skill or card; 0: there is none.
        max_input_tokens: The bound on the prompt that skill or card declares; 0: there is none.
        deadline: When the work is stopped, aware UTC: the asker's deadline, else what `max_run_time` leaves.
    """

    ask: Ask
    digest: Digest
    skill: Skill
    max_output_tokens: int
    max_input_tokens: int
    deadline: datetime

    @property
    def text(self) -> str:
        """The text of the last turn: the question."""
        return self.ask.text

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation, oldest turn first."""
        return self.ask.turns

    @property
    def caller(self) -> PublicKey:
        """The key that asks, 32 bytes."""
        return self.ask.header.caller

    @property
    def request_id(self) -> RequestId:
        """The id of the ask, 16 bytes."""
        return self.ask.header.request_id

    @property
    def data_class(self) -> DataClass:
        """How much harm the disclosure of the ask would do."""
        return self.ask.data_class


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What a handler knows about its answer at the end; the node adds text digest, bytes, sources and times.

    Attributes:
        outcome, stop_reason: How the answer ended, and what ended it.
        detail: Explains the outcome for people, without text of the ask, at most 1024 characters.
        confidence: How sure the handler is, or None: it does not say.
        model: The model that answered, or None: none took part.
        intake: What was read to make the answer, or None: not disclosed.
        usage: Token counts; `output_bytes` and `duration` are the node's to fill.

    Raises:
        UsageError: An outcome or stop reason that cannot be sent, too long a detail, probabilities out of order.
    """

    outcome: Outcome = Outcome.ANSWERED
    stop_reason: StopReason = StopReason.COMPLETE
    detail: str = ""
    confidence: Confidence | None = None
    model: Model | None = None
    intake: Intake | None = None
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        if self.outcome is Outcome.UNKNOWN or self.stop_reason is StopReason.UNKNOWN:
            raise UsageError("a conclusion names an outcome and a stop reason of this version")
        if len(self.detail) > MAX_DETAIL_CHARACTERS:
            raise UsageError(f"the detail of a conclusion has at most {MAX_DETAIL_CHARACTERS} characters")
        if self.confidence is not None:
            _check_confidence(self.confidence)


Item = str | Citation | Progress | Conclusion
"""What a handler may yield."""

Handler = Callable[[IncomingAsk], AsyncIterator[Item]]
"""Answers an ask."""

Check = Callable[[IncomingAsk], Awaitable[None]]
"""Looks at an ask before it is accepted, and raises a `RefusedError` where it cannot be answered within the limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSkill:
    """A skill, the handler that answers for it, and the check that comes before acceptance, if there is one."""

    skill: Skill
    handler: Handler
    check: Check | None = None


class SkillBook:
    """The skills of a node, in the order in which they were added."""

    def __init__(self) -> None:
        self._skills: dict[str, ServedSkill] = {}

    def add(self, skill: Skill, *, handler: Handler, check: Check | None = None) -> None:
        """Adds a skill.

        Raises:
            UsageError: The description breaks a rule of node.proto, the id is taken, or the handler is a coroutine
                function, which yields nothing.
        """
        check_skill(skill)
        if skill.id in self._skills:
            raise UsageError(f"the skill {skill.id!r} is registered twice")
        if inspect.iscoroutinefunction(handler):
            raise UsageError(f"the handler of {skill.id!r} is no async generator: write `yield` where it has `return`")
        self._skills[skill.id] = ServedSkill(skill=skill, handler=handler, check=check)

    def get(self, skill_id: str) -> ServedSkill | None:
        """Returns the skill with an id, or None."""
        return self._skills.get(skill_id)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all skills."""
        return tuple(self._skills)

    @property
    def described(self) -> tuple[Skill, ...]:
        """All skills as the card describes them."""
        return tuple(served.skill for served in self)

    def __iter__(self) -> Iterator[ServedSkill]:
        return iter(self._skills.values())

    def __len__(self) -> int:
        return len(self._skills)


def check_event(event: Citation | Progress) -> None:
    """Checks what a handler yields against the constraints that ask.proto declares.

    Raises:
        UsageError: A reader would have to refuse the event.
    """
    match event:
        case Progress(message=message, done_milli=done):
            if not 1 <= len(message) <= MAX_PROGRESS_CHARACTERS or not 0 <= (done or 0) <= ALL_MILLI:
                raise UsageError(f"progress has a message of 1 to {MAX_PROGRESS_CHARACTERS} characters, and 0 to 1000")
        case Citation(origin=DocumentSource() as document):
            if len(document.digest) != DIGEST_BYTES or not 1 <= len(document.uri) <= MAX_URI_CHARACTERS:
                raise UsageError(f"a document is named by its digest and a URI of 1 to {MAX_URI_CHARACTERS} characters")
            if len(document.title) > MAX_TITLE_CHARACTERS or len(document.quote) > MAX_QUOTE_CHARACTERS:
                raise UsageError(f"the quote of a document has at most {MAX_QUOTE_CHARACTERS} characters")
        case Citation(origin=bytes() as digest):
            if len(digest) != DIGEST_BYTES:
                raise UsageError(f"the digest of an answer has {DIGEST_BYTES} bytes")


def _check_confidence(confidence: Confidence) -> None:
    bounds = (confidence.lower, confidence.upper)
    stated = [value for value in (confidence.p_correct, *bounds) if value is not None]
    if not confidence.method or any(not 0 <= value <= 1 for value in stated):
        raise UsageError("a confidence names its method, and its probabilities lie between 0 and 1")
    match bounds:
        case (None, None):
            return
        case (float(lower), float(upper)) if lower <= upper:
            return
        case _:
            raise UsageError("the ends of a confidence interval come together and in order")
