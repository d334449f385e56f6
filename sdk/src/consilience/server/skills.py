"""Skills as they are served: what a handler is given, what it may yield, and the book that holds them all.

A handler is an async generator function. What it yields becomes the log of the answer: a string, or a
`Delta` that counts its tokens, is more of the text, a `Citation` names a source, `Progress` tells what it is at, and a
`Conclusion`, if there is one, comes last. `Usage` tells what all of it has used so far: the first one, before the text,
is what a tariff on input tokens charges for the question::

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
from dataclasses import dataclass
from datetime import datetime

from consilience.asks import Ask, Citation, Progress, Turn, Usage
from consilience.errors import UsageError
from consilience.nodes import DataClass, Skill
from consilience.server.conclusions import Conclusion
from consilience.server.descriptions import check_skill
from consilience.units import Digest, PublicKey, RequestId


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
class Delta:
    """More of the text, with the tokens that begin in it: what a tariff on output tokens is charged by."""

    text: str
    output_tokens: int


Item = str | Delta | Usage | Citation | Progress | Conclusion
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
            UsageError: The description breaks a rule of node.proto, the id is taken, or the handler is no
                async generator function.
        """
        check_skill(skill)
        if skill.id in self._skills:
            raise UsageError(f"the skill {skill.id!r} is registered twice")
        if inspect.iscoroutinefunction(handler):
            raise UsageError(f"the handler of {skill.id!r} is no async generator: write `yield` where it has `return`")
        if inspect.isgeneratorfunction(handler):
            raise UsageError(f"the handler of {skill.id!r} is no async generator: write `async def` where it has `def`")
        self._skills[skill.id] = ServedSkill(skill=skill, handler=handler, check=check)

    def followed_by(self, served: ServedSkill) -> SkillBook:
        """Returns a book with one skill more, the last; asks that name no skill go to the first.

        Raises:
            UsageError: The id is taken.
        """
        book = SkillBook()
        for each in (*self, served):
            book.add(each.skill, handler=each.handler, check=each.check)
        return book

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
