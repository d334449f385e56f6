"""What the server's replies mean for the caller: one place that knows HTTP status and error codes.

Only codes are read, never the words of a message: every server has its own.
"""

from __future__ import annotations

import httpx

from consilience_node.engines.errors import (
    ContextTooLong,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    ModelNotFound,
    RequestRejected,
)

Json = dict[str, object]

_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_DEFAULT_RETRY_SECONDS = 1.0
_SHOWN_CHARACTERS = 200


def as_object(value: object) -> Json:
    """Returns a JSON object as it is, and anything else as an empty one."""
    return value if isinstance(value, dict) else {}


async def raise_for_reply(response: httpx.Response, *, model: str, context_length: int) -> None:
    """Raises what an unsuccessful reply means; returns for a successful one.

    Args:
        response: may still be unread.
        model: name that was asked for.
        context_length: most tokens of prompt and answer; 0 if unknown.

    Raises:
        ContextTooLong: the prompt does not fit.
        EngineOverloaded: the server has no place now.
        ModelNotFound: the server has no such model.
        RequestRejected: the server will not do it.
        EngineUnavailable: the server failed, or refuses us altogether.
    """
    if response.is_success:
        return
    await response.aread()
    try:
        body = as_object(response.json())
    except ValueError:
        body = {}
    raise _meaning(response, body, model=model, context_length=context_length)


def raise_stated_error(body: Json) -> None:
    """Raises the error that a successful reply reports after all.

    Raises:
        EngineUnavailable: the server failed while it answered.
    """
    if body.get("error"):
        raise EngineUnavailable(f"the server failed while it answered: {_message(body)}")


def _meaning(response: httpx.Response, body: Json, *, model: str, context_length: int) -> EngineError:
    stated = as_object(body.get("error"))
    if {stated.get("code"), stated.get("type")} & _CONTEXT_CODES:
        limit, given = stated.get("n_ctx"), stated.get("n_prompt_tokens")
        return ContextTooLong(
            limit=limit if isinstance(limit, int) else context_length,
            given=given if isinstance(given, int) else None,
        )
    said = f"the server replied {response.status_code}: {_message(body)}"
    match response.status_code:
        case httpx.codes.TOO_MANY_REQUESTS | httpx.codes.SERVICE_UNAVAILABLE:
            return EngineOverloaded(retry_after=_retry_after(response))
        case httpx.codes.UNAUTHORIZED | httpx.codes.FORBIDDEN:
            return EngineUnavailable(f"{said}; is the API key right?")
        case httpx.codes.NOT_FOUND:
            return ModelNotFound(path=model, hint=f"{said}; see the server's /models")
        case status if status < httpx.codes.INTERNAL_SERVER_ERROR:
            return RequestRejected(said)
        case _:
            return EngineUnavailable(said)


def _message(body: Json) -> str:
    """Returns what the server says about its error, shortened; it may repeat a prompt."""
    error = body.get("error")
    message = error if isinstance(error, str) else as_object(error).get("message")
    return str(message or "no reason given")[:_SHOWN_CHARACTERS]


def _retry_after(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return _DEFAULT_RETRY_SECONDS
