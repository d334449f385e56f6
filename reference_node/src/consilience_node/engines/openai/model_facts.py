"""What a server and its operator say about the model."""

from __future__ import annotations

from consilience_node.engines.errors import ModelNotFound
from consilience_node.engines.interface import ModelInfo
from consilience_node.engines.openai.options import OpenAIOptions
from consilience_node.engines.openai.replies import Json, as_object


def describe_model(listing: Json, *, options: OpenAIOptions) -> ModelInfo:
    """Combines the server's list of models with the settings, which take precedence.

    Args:
        listing: the reply to ``GET /models``; empty if the server has no such list.
        options: the settings.

    Raises:
        ModelNotFound: the server does not have the model, or none was named and it has not just one.
    """
    data = listing.get("data")
    entries = [as_object(entry) for entry in data] if isinstance(data, list) else []
    models = {str(entry.get("id")): entry for entry in entries}
    name = _chosen(set(models), options=options)
    entry = models.get(name, {})
    meta = as_object(entry.get("meta"))
    return ModelInfo(
        id=name,
        family=options.family or "",
        parameter_count=options.parameter_count or _first_count(meta.get("n_params")),
        quantization=options.quantization or "",
        weights_sha256=bytes.fromhex(options.weights_sha256 or ""),
        context_length_tokens=options.context_length_tokens
        # vLLM says the first, llama-server the others.
        or _first_count(entry.get("max_model_len"), meta.get("n_ctx"), meta.get("n_ctx_train")),
        engine="openai",
    )


def _chosen(names: set[str], *, options: OpenAIOptions) -> str:
    if options.model is None:
        if len(names) == 1:
            return names.pop()
        raise ModelNotFound(path=options.base_url, hint=f"name one of its models: {', '.join(sorted(names))}")
    if names and options.model not in names:
        raise ModelNotFound(path=options.model, hint=f"{options.base_url} has: {', '.join(sorted(names))}")
    return options.model


def _first_count(*values: object) -> int:
    """Returns the first value that is a number of something, or 0."""
    return next((value for value in values if isinstance(value, int) and value > 0), 0)
