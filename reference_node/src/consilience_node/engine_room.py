"""The engines of a node: made from its configuration, started together, closed together."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from consilience_node.config import LlamaCppModel, ModelTable, OpenAIModel, ScriptedModel
from consilience_node.engines import Engine, EngineUnavailable, ModelUnusable
from consilience_node.engines.openai import OpenAIEngine, OpenAIOptions
from consilience_node.engines.scripted import ScriptedEngine
from consilience_node.metrics import NodeMetrics

if TYPE_CHECKING:
    from consilience_node.engines.llama_cpp.model_files import PackagedModel

_LLAMA_CPP_PACKAGES = {"llama_cpp", "numpy"}


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
        EngineUnavailable: The engine is not installed.
        ModelUnusable: The key of its server is not set.
    """
    match model:
        case LlamaCppModel():
            return _llama_cpp(model, queue=queue)
        case OpenAIModel():
            return _openai(model)
        case ScriptedModel():
            return ScriptedEngine(model.script)


def packaged_models() -> tuple[PackagedModel, ...]:
    """Returns the models that come as packages, installed or not.

    Raises:
        EngineUnavailable: llama.cpp, which runs them, is not installed.
    """
    with _needing_llama_cpp():
        from consilience_node.engines.llama_cpp.model_files import PACKAGED_MODELS  # noqa: PLC0415
    return PACKAGED_MODELS


def _llama_cpp(model: LlamaCppModel, *, queue: int) -> Engine:
    with _needing_llama_cpp():
        from consilience_node.engines.llama_cpp import LlamaCppEngine, LlamaCppOptions  # noqa: PLC0415
    return LlamaCppEngine(
        LlamaCppOptions(
            model=model.weights or model.id,
            chat_template=model.chat_template,
            context_tokens=model.context_tokens,
            generations=model.generations,
            queued_generations=queue,
            threads=model.threads,
        )
    )


@contextmanager
def _needing_llama_cpp() -> Iterator[None]:
    """Explains an import that fails: llama.cpp is an extra, and only a node that runs it has to have it compiled."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _LLAMA_CPP_PACKAGES:
            raise
        raise EngineUnavailable(f'{error.name} is not installed; run: pip install "consilience-node[llama]"') from error


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
