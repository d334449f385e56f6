"""The skill without knowledge: a model answers from its memory, and says how sure it is.

The text is streamed as it is made. How sure the model was is known at the end, and stands in the conclusion: an answer
that is less likely right than not is ABSTAINED for LOW_CONFIDENCE, with the text as what the model had to offer. For a
model that was not measured, and for an ask unlike those it was measured with, nothing is claimed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from consilience.asks import Confidence, Outcome, StopReason, Usage
from consilience.nodes import Model, Skill
from consilience.server import Conclusion, Delta, IncomingAsk, Item
from consilience_node.engines import Completion, Engine, EngineError, Piece, Prompt, Sampling, StopCause
from consilience_node.knowledge.confidence import SURE, Confidences
from consilience_node.skills.conversations import messages_of, prompt_of
from consilience_node.skills.disclosures import intake_of, tokens_of_stopped, usage_of
from consilience_node.skills.refusals import failure_of, require_prompt_fits, require_schema_fits

DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant. Answer the question in a few short sentences."
GUESS = "the model was not sure: what it says is a guess"

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainSkill:
    """Answers with nothing but a model.

    Attributes:
        described: As it stands in the card; its bound on output tokens is set.
        engine: Runs the model.
        model: As the card discloses it.
        confidences: What was measured of the model, with the default system prompt.
        system_prompt: What the model is told first.
        counts_questions: The tokens of a question that is paid for are told before the text, because they cost
            something.
    """

    described: Skill
    engine: Engine
    model: Model
    confidences: Confidences
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    counts_questions: bool = True

    async def check(self, ask: IncomingAsk) -> None:
        """Refuses, before acceptance, what is too long, ends without a question, or wants an impossible shape."""
        await require_schema_fits(ask.ask.answer_schema, engine=self.engine)
        await require_prompt_fits(self._prompt(ask), engine=self.engine, ask=ask)

    async def answer(self, ask: IncomingAsk) -> AsyncIterator[Item]:
        """Streams what the model says, and concludes how sure it was."""
        sampling = Sampling(max_output_tokens=ask.max_output_tokens, json_schema=ask.ask.answer_schema or None)
        prompt = self._prompt(ask)
        text: list[str] = []
        tokens = 0
        try:
            if self.counts_questions and ask.ask.payment is not None:
                yield Usage(input_tokens=await self.engine.count_tokens(prompt))
            async with aclosing(self.engine.generate(prompt, sampling=sampling)) as items:
                async for item in items:
                    match item:
                        case Piece():
                            text.append(item.text)
                            tokens += item.tokens
                            yield Delta(text=item.text, output_tokens=item.tokens)
                        case Completion():
                            yield self._conclusion(item, ask=ask, text="".join(text))
        except EngineError as error:
            _LOGGER.warning("the engine of %s failed: %s", self.described.id, type(error).__name__)
            yield replace(failure_of(error), model=self.model, usage=Usage(output_tokens=tokens))
        except asyncio.CancelledError:
            # The node takes what this says of the work that was done, and adds what stopped it.
            intake = intake_of(await tokens_of_stopped(prompt, engine=self.engine))
            yield Conclusion(model=self.model, intake=intake, usage=Usage(output_tokens=tokens))

    def _prompt(self, ask: IncomingAsk) -> Prompt:
        return prompt_of(messages_of(ask.turns), system=self.system_prompt, data_class=ask.data_class)

    def _conclusion(self, completion: Completion, *, ask: IncomingAsk, text: str) -> Conclusion:
        confidence = self._confidence(completion, ask=ask, text=text)
        outcome, stop_reason, detail = Outcome.ANSWERED, StopReason.COMPLETE, ""
        if completion.stop is StopCause.LENGTH:
            outcome, stop_reason = Outcome.TRUNCATED, StopReason.OUTPUT_LIMIT
        elif confidence is not None and confidence.p_correct is not None and confidence.p_correct < SURE:
            outcome, stop_reason, detail = Outcome.ABSTAINED, StopReason.LOW_CONFIDENCE, GUESS
        return Conclusion(
            outcome=outcome,
            stop_reason=stop_reason,
            detail=detail,
            confidence=confidence,
            model=self.model,
            intake=intake_of(completion.prompt_tokens),
            usage=usage_of(completion),
        )

    def _confidence(self, completion: Completion, *, ask: IncomingAsk, text: str) -> Confidence | None:
        """Returns how likely the answer is right, where the ask is of the kind that was measured."""
        as_measured = len(ask.turns) == 1 and not ask.ask.answer_schema and self.system_prompt == DEFAULT_SYSTEM_PROMPT
        if not as_measured:
            return None
        return self.confidences.closed_book(text.strip(), question=ask.text, logprobs=completion.logprobs)
