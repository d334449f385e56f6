"""The body of a request to the server."""

from __future__ import annotations

import json
from typing import assert_never

from consilience_node.engines.errors import SchemaUnsupported
from consilience_node.engines.interface import Prompt, Sampling
from consilience_node.engines.openai.options import OpenAIOptions, SchemaFormat
from consilience_node.engines.openai.replies import Json
from consilience_node.engines.openai.turn_markers import break_turn_markers


def chat_payload(prompt: Prompt, sampling: Sampling, *, model: str, options: OpenAIOptions) -> Json:
    """Asks for a stream.

    Stop sequences are not sent: servers limit their number and do not tell one from the end of
    the answer. The engine watches for them, and closes the stream.

    Raises:
        SchemaUnsupported: the schema is no JSON, or the server takes none.
    """
    payload = _common(prompt, model=model, options=options) | {
        "max_tokens": sampling.max_output_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if sampling.seed is not None:
        payload["seed"] = sampling.seed
    if options.logprobs:
        # Some servers send none unless alternatives are asked for, too.
        payload |= {"logprobs": True, "top_logprobs": 1}
    if sampling.json_schema is not None:
        payload["response_format"] = response_format(sampling.json_schema, form=options.schema_format)
    return payload


def counting_payload(prompt: Prompt, *, model: str, options: OpenAIOptions) -> Json:
    """Asks for the shortest reply there is, for the sake of its usage."""
    return _common(prompt, model=model, options=options) | {"max_tokens": 1, "temperature": 0.0}


def _common(prompt: Prompt, *, model: str, options: OpenAIOptions) -> Json:
    messages = [
        {"role": message.role.value, "content": break_turn_markers(message.content)} for message in prompt.messages
    ]
    return {**options.extra, "model": model, "messages": messages}


def response_format(schema: str, *, form: SchemaFormat) -> Json:
    """Says how a server is told to keep to a JSON schema.

    Raises:
        SchemaUnsupported: it is no JSON, or the server was not declared to keep to any.
    """
    try:
        parsed = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise SchemaUnsupported(f"the JSON schema is no JSON: {error}") from error
    match form:
        case "json_schema":
            return {"type": form, "json_schema": {"name": "answer", "strict": True, "schema": parsed}}
        case "json_object":
            return {"type": form, "schema": parsed}
        case "none":
            raise SchemaUnsupported("the server of this engine was not declared to enforce a JSON schema")
        case _:
            assert_never(form)
