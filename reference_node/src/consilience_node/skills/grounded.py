"""The skill with knowledge: what the sources say about a question, put into words or quoted, or nothing.

The best passage is put before the model, and the gate decides what becomes of the model's words: the answer, the bare
passage, or an abstention. Text that was streamed cannot be taken back, so none is before the gate has decided; a
grounded answer is one sentence, and meanwhile the asker is told what the node is at.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from consilience.asks import Citation, Intake, Outcome, Progress, StopReason, Usage
from consilience.nodes import Model, Skill
from consilience.server import Conclusion, Delta, IncomingAsk, Item
from consilience_node.engines import Completion, Engine, EngineError, EngineUnavailable, Prompt, StopCause
from consilience_node.knowledge.confidence import Confidences
from consilience_node.knowledge.gate import Decision, Evidence, Reason, judge, worth_reading
from consilience_node.knowledge.prompt import MAX_ANSWER_TOKENS, grounded_messages, grounded_sampling
from consilience_node.knowledge.retrieval import Passage, Retrieval, Retriever
from consilience_node.knowledge.wording import echoes, support
from consilience_node.skills.conversations import messages_of, prompt_of
from consilience_node.skills.disclosures import hidden_usage_of, intake_of, source_of, tokens_of_stopped, usage_of
from consilience_node.skills.refusals import failure_of, require_prompt_fits

NO_DRAFT = "the ask allows no hidden tokens, and the words of the model may have to be withheld"
MAX_PROGRESS_CHARACTERS = 512

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundedSkill:
    """Answers from sources alone.

    Attributes:
        described: As it stands in the card; its bound on output tokens is set.
        engine: Runs the model.
        model: As the card discloses it.
        retriever: Finds passages.
        confidences: What was measured of the model.
        passages: The most passages that are looked up; the model reads the best one.
    """

    described: Skill
    engine: Engine
    model: Model
    retriever: Retriever
    confidences: Confidences
    passages: int

    async def check(self, ask: IncomingAsk) -> None:
        """Refuses, before acceptance, an ask whose prompt is too long or that ends without a question."""
        found = await self._find(ask)
        if found.prompt is not None:
            await require_prompt_fits(found.prompt, engine=self.engine, ask=ask)

    async def answer(self, ask: IncomingAsk) -> AsyncIterator[Item]:
        """Tells what it is at, then answers, quotes or abstains, and names its source."""
        found, draft = await self._find(ask), _Draft()
        try:
            async with aclosing(self._answered(found, ask=ask, draft=draft)) as items:
                async for item in items:
                    yield item
        except asyncio.CancelledError:
            # The node takes what this says of the work that was done, and adds what stopped it.
            read = 0 if draft.prompt is None else await tokens_of_stopped(draft.prompt, engine=self.engine)
            yield Conclusion(model=self.model, intake=found.intake(prompt_tokens=read), usage=draft.usage)

    async def _answered(self, found: _Found, *, ask: IncomingAsk, draft: _Draft) -> AsyncGenerator[Item, None]:
        if found.prompt is None:
            yield self._abstention(found)
            return
        if not _may_draft(ask):
            for item in self._quotation(found, why=NO_DRAFT, usage=Usage()):
                yield item
            return
        yield Progress(message=f"reading the passage “{found.passage.title}”"[:MAX_PROGRESS_CHARACTERS])
        try:
            completion = await draft.write(self.engine, prompt=found.prompt, max_output_tokens=ask.max_output_tokens)
        except EngineError as error:
            _LOGGER.warning("the engine of %s failed: %s", self.described.id, type(error).__name__)
            yield replace(failure_of(error), model=self.model, usage=draft.usage)
        else:
            for item in self._judged(draft, completion=completion, found=found):
                yield item

    async def _find(self, ask: IncomingAsk) -> _Found:
        """Looks the question up, and writes the prompt if what was found is about it."""
        *earlier, last = messages_of(ask.turns)
        question = last.content
        retrieval = await asyncio.to_thread(self.retriever.retrieve, question, limit=self.passages)
        prompt = None
        if retrieval.passages and worth_reading(retrieval.topic.rule):
            instruction, reading = grounded_messages(question, passages=retrieval.passages[:1])
            prompt = prompt_of((*earlier, reading), system=instruction.content, data_class=ask.data_class)
        return _Found(question=question, retrieval=retrieval, prompt=prompt)

    def _judged(self, draft: _Draft, *, completion: Completion, found: _Found) -> Iterator[Item]:
        """Lets the gate decide what becomes of what the model wrote; what it took is told before the text."""
        text = draft.text.strip()
        evidence = _evidence(text, completion=completion, found=found)
        verdict = judge(evidence)
        if verdict.decision is not Decision.ANSWER:
            draft.usage = hidden_usage_of(completion)
            yield draft.usage
            yield from self._quotation(found, why=verdict.reason, usage=draft.usage)
            return
        draft.usage = replace(usage_of(completion), output_tokens=0)
        yield draft.usage
        yield Delta(text=text, output_tokens=completion.output_tokens)
        yield Citation(origin=source_of(found.passage))
        yield Conclusion(
            confidence=self.confidences.grounded(evidence),
            model=self.model,
            intake=found.intake(prompt_tokens=completion.prompt_tokens),
            usage=usage_of(completion),
        )

    def _quotation(self, found: _Found, *, why: str, usage: Usage) -> Iterator[Item]:
        """Gives the passage, to the letter, and says that it is no answer."""
        yield found.passage.text
        yield Citation(origin=source_of(found.passage))
        yield Conclusion(
            outcome=Outcome.ABSTAINED,
            stop_reason=StopReason.LOW_CONFIDENCE,
            detail=f"{why}; the text is the passage that was found, to the letter",
            model=self.model,
            intake=found.intake(prompt_tokens=usage.input_tokens),
            usage=usage,
        )

    def _abstention(self, found: _Found) -> Conclusion:
        return Conclusion(
            outcome=Outcome.ABSTAINED,
            stop_reason=StopReason.NO_KNOWLEDGE,
            detail=str(Reason.OFF_TOPIC),
            model=self.model,
            intake=found.intake(prompt_tokens=0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was looked up for a question, and what the model is to read; None: nothing is about the question."""

    question: str
    retrieval: Retrieval
    prompt: Prompt | None

    @property
    def passage(self) -> Passage:
        return self.retrieval.passages[0]

    def intake(self, *, prompt_tokens: int) -> Intake:
        used = (self.passage,) if prompt_tokens else ()
        return intake_of(prompt_tokens, retrieval=self.retrieval, used=used)


class _Draft:
    """What the model writes before anyone is shown it.

    Attributes:
        prompt: What it was given to read; None: nothing yet.
        text: As far as it has come.
        usage: What it took: hidden tokens, until it is decided that the text is shown.
    """

    def __init__(self) -> None:
        self.prompt: Prompt | None = None
        self.text = ""
        self.usage = Usage()

    async def write(self, engine: Engine, *, prompt: Prompt, max_output_tokens: int) -> Completion:
        self.prompt = prompt
        sampling = grounded_sampling(max_output_tokens=max_output_tokens)
        async with aclosing(engine.generate(prompt, sampling=sampling)) as items:
            async for item in items:
                if isinstance(item, Completion):
                    return item
                self.text += item.text
                self.usage = Usage(hidden_tokens=self.usage.hidden_tokens + item.tokens)
        raise EngineUnavailable("the engine ended without a completion")


def _may_draft(ask: IncomingAsk) -> bool:
    """Tells whether the asker lets the model write what nobody may get to see."""
    allowed = ask.ask.limits.max_hidden_tokens
    return allowed is None or allowed >= min(ask.max_output_tokens, MAX_ANSWER_TOKENS)


def _evidence(text: str, *, completion: Completion, found: _Found) -> Evidence:
    logprobs = completion.logprobs
    passage = f"{found.passage.title} {found.passage.text}"
    return Evidence(
        topic=found.retrieval.topic.rule,
        mean_logprob=sum(logprobs) / len(logprobs) if logprobs else None,
        support=support(text, question=found.question, passage=passage),
        echo=echoes(text, question=found.question),
        finished=completion.stop is not StopCause.LENGTH,
    )
