"""What an asker is told when an engine cannot answer: a refusal before acceptance, a conclusion after it."""

from __future__ import annotations

from datetime import timedelta

from consilience.asks import Outcome, StopReason
from consilience.errors import (
    AnswerSchemaUnsupportedError,
    LimitExceeded,
    LimitExceededError,
    NodeFaultError,
    RefusedError,
)
from consilience.server import Conclusion, IncomingAsk
from consilience_node.engines import (
    ContextTooLong,
    Engine,
    EngineError,
    EngineOverloaded,
    Prompt,
    RequestRejected,
    SchemaUnsupported,
)

_TEMPLATE_TOKENS = 64
"""More than any chat template puts around one message."""


async def require_prompt_fits(prompt: Prompt, *, engine: Engine, ask: IncomingAsk) -> None:
    """Checks the length of a prompt before the ask is accepted; nothing is ever cut.

    Raises:
        LimitExceededError: It has more tokens than `max_input_tokens` of skill or card allows.
        NodeFaultError: The engine cannot tell, because it does not run.
    """
    limit = ask.max_input_tokens
    if not limit or _most_tokens(prompt) <= limit:
        return
    try:
        tokens = await engine.count_tokens(prompt)
    except EngineError as error:
        raise refusal_of(error) from error
    if tokens > limit:
        raise _too_long(limit=limit, given=tokens)


async def require_schema_fits(schema: str, *, engine: Engine) -> None:
    """Checks, before the ask is accepted, that the engine can hold an answer to the schema of the ask, if it has one.

    Raises:
        AnswerSchemaUnsupportedError: It cannot.
        NodeFaultError: The engine cannot tell, because it does not run.
    """
    if not schema:
        return
    try:
        await engine.check_schema(schema)
    except EngineError as error:
        raise refusal_of(error) from error


def refusal_of(error: EngineError) -> RefusedError:
    """Returns the refusal that an error of an engine leads to before acceptance."""
    match error:
        case ContextTooLong(limit=limit, given=given):
            return _too_long(limit=limit, given=limit + 1 if given is None else given)
        case EngineOverloaded(retry_after=seconds):
            detail = LimitExceeded(limit="max_running_asks", maximum=0, requested=1)
            return LimitExceededError("the engine is busy", detail=detail, retry_after=timedelta(seconds=seconds))
        case SchemaUnsupported():
            return AnswerSchemaUnsupportedError(str(error))
        case _:
            return NodeFaultError("the engine of this skill does not run")


def failure_of(error: EngineError) -> Conclusion:
    """Returns the conclusion that an error of an engine leads to after acceptance, without internals."""
    match error:
        case EngineOverloaded(retry_after=seconds):
            detail = f"the engine is busy; ask again in {seconds:.0f} s"
        case ContextTooLong():
            detail = f"max_input_tokens: {error}"
        case RequestRejected():
            detail = "the engine cannot do what the ask wants of it; its schema may be too much"
        case _:
            detail = "the engine failed while it worked"
    return Conclusion(outcome=Outcome.FAILED, stop_reason=StopReason.ENGINE_FAILURE, detail=detail)


def _most_tokens(prompt: Prompt) -> int:
    """Returns a bound on the tokens of a prompt that costs nothing: no token has less than one byte of its content."""
    return sum(len(message.content.encode()) + _TEMPLATE_TOKENS for message in prompt.messages)


def _too_long(*, limit: int, given: int) -> LimitExceededError:
    detail = LimitExceeded(limit="max_input_tokens", maximum=limit, requested=given)
    return LimitExceededError(f"the prompt has {given} tokens, max_input_tokens is {limit}", detail=detail)
