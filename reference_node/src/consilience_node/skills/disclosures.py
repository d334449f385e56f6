"""What a skill states about its answer, in the words of the protocol: model, usage, sources, what was read."""

from __future__ import annotations

import logging
from collections.abc import Collection

from consilience.asks import ByteSpan, DocumentSource, Intake, RetrievedChunk, Usage
from consilience.nodes import Model
from consilience_node.engines import Completion, Engine, EngineError, ModelInfo, Prompt
from consilience_node.knowledge.retrieval import Passage, Retrieval

MAX_QUOTE_CHARACTERS = 16_384

_LOGGER = logging.getLogger(__name__)


def disclosed_model(info: ModelInfo, *, id: str) -> Model:  # noqa: A002 - the name of the field
    """Returns what a card says about a model, under the id that the operator gave it."""
    return Model(
        id=id,
        family=info.family,
        parameter_count=info.parameter_count,
        quantization=info.quantization,
        weights_digest=info.weights_sha256,
        context_length_tokens=info.context_length_tokens,
        engine=f"{info.engine} {info.engine_version}".rstrip(),
    )


def usage_of(completion: Completion) -> Usage:
    """Returns what a generation used whose text is the answer."""
    return Usage(
        input_tokens=completion.prompt_tokens,
        cached_input_tokens=completion.cached_prompt_tokens,
        output_tokens=completion.output_tokens,
    )


def hidden_usage_of(completion: Completion) -> Usage:
    """Returns what a generation used whose text nobody is shown."""
    return Usage(
        input_tokens=completion.prompt_tokens,
        cached_input_tokens=completion.cached_prompt_tokens,
        hidden_tokens=completion.output_tokens,
    )


def intake_of(prompt_tokens: int, *, retrieval: Retrieval | None = None, used: Collection[Passage] = ()) -> Intake:
    """Returns what was read; nothing is ever dropped here, because what does not fit is refused.

    Args:
        prompt_tokens: Tokens of the rendered prompt; 0 where the model read nothing.
        retrieval: What was looked up, or None.
        used: The passages that the model read.
    """
    return Intake(
        prompt_tokens_received=prompt_tokens,
        prompt_tokens_used=prompt_tokens,
        retrieval_strategy="" if retrieval is None else retrieval.strategy,
        chunks=tuple(
            RetrievedChunk(document=source_of(passage, quoted=False), score=passage.score, used=passage in used)
            for passage in (() if retrieval is None else retrieval.passages)
        ),
    )


async def tokens_of_stopped(prompt: Prompt, *, engine: Engine) -> int:
    """Returns the tokens of a prompt whose answer was stopped before the engine could tell them; 0: it cannot now."""
    try:
        return await engine.count_tokens(prompt)
    except EngineError as error:
        _LOGGER.warning("the engine does not tell how long the question of a stopped answer was: %s", error)
        return 0


def source_of(passage: Passage, *, quoted: bool = True) -> DocumentSource:
    """Returns the place of a passage, with its words if they are quoted."""
    quote = passage.text if quoted and len(passage.text) <= MAX_QUOTE_CHARACTERS else ""
    return DocumentSource(
        uri=passage.uri,
        digest=passage.source_digest,
        retrieval_time=passage.retrieval_time,
        title=passage.title[:512],
        place=ByteSpan(start_byte=passage.start_byte, end_byte=passage.end_byte),
        quote=quote,
    )
