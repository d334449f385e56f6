"""The engines of a node: made from its configuration, started together, closed together."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from consilience_node.config import LlamaCppModel, ModelTable, OpenAIModel, ScriptedModel
from consilience_node.engines import Engine, ModelUnusable
from consilience_node.engines.openai import OpenAIEngine, OpenAIOptions
from consilience_node.engines.scripted import ScriptedEngine
from consilience_node.metrics import NodeMetrics


@asynccontextmanager
async def running_engines(
    models: Iterable[ModelTable], *, queue: int, metrics: NodeMetrics
) -> AsyncIterator[Mapping[str, Engine]]:
    """Runs the engines of these models while the block runs.

    Args:
        models: As configured.
        queue: Generations that may wait in each engine.
        metrics: Counts what they do.

    Yields:
        The engine of each model, by the model's id.

    Raises:
        EngineError: One of them cannot start.
    """
    async with AsyncExitStack() as stack:
        engines: dict[str, Engine] = {}
        for model in models:
            engine = make_engine(model, queue=queue)
            stack.push_async_callback(engine.close)
            await engine.start()
            engines[model.id] = metrics.metered(engine, model_id=model.id)
        yield engines


def make_engine(model: ModelTable, *, queue: int) -> Engine:
    """Returns the engine that a model is configured to run on; nothing is loaded yet.

    Raises:
        ModelUnusable: The engine is not installed, or its key is not set.
    """
    match model:
        case LlamaCppModel():
            return _llama_cpp(model, queue=queue)
        case OpenAIModel():
            return _openai(model)
        case ScriptedModel():
            return ScriptedEngine(model.script)


def _llama_cpp(model: LlamaCppModel, *, queue: int) -> Engine:
    weights = model.weights or model.id
    try:
        # llama.cpp is an extra: only a node that runs it has to have it compiled.
        from consilience_node.engines.llama_cpp import LlamaCppEngine, LlamaCppOptions  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModelUnusable(
            path=weights, reason=f'{error.name} is not installed; run: pip install "consilience-node[llama]"'
        ) from error
    return LlamaCppEngine(
        LlamaCppOptions(
            model=weights,
            chat_template=model.chat_template,
            context_tokens=model.context_tokens,
            generations=model.generations,
            queued_generations=queue,
            threads=model.threads,
        )
    )


def _openai(model: OpenAIModel) -> Engine:
    key = None
    if model.api_key_variable is not None:
        key = os.environ.get(model.api_key_variable)
        if not key:
            raise ModelUnusable(
                path=model.base_url, reason=f"its key is wanted in the environment variable {model.api_key_variable}"
            )
    return OpenAIEngine(
        OpenAIOptions(
            base_url=model.base_url,
            model=model.name or model.id,
            api_key=key,
            logprobs=model.logprobs,
            schema_format=model.schema_format,
            generations=model.generations,
            context_length_tokens=model.context_tokens,
        )
    )
