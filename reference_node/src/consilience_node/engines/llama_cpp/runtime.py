"""Everything of one engine that lives in llama.cpp, made and freed on the engine thread."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from consilience_node.engines.errors import ContextTooLong
from consilience_node.engines.interface import ModelInfo, Prompt, Sampling
from consilience_node.engines.llama_cpp.backend import start_backend
from consilience_node.engines.llama_cpp.cells import CellLedger
from consilience_node.engines.llama_cpp.chat_template import ChatTemplate
from consilience_node.engines.llama_cpp.context import Context
from consilience_node.engines.llama_cpp.generation import Generation, Request
from consilience_node.engines.llama_cpp.grammar import Grammar
from consilience_node.engines.llama_cpp.model import Model
from consilience_node.engines.llama_cpp.model_files import find_model, user_cache_directory
from consilience_node.engines.llama_cpp.options import LlamaCppOptions
from consilience_node.engines.llama_cpp.scheduler import Scheduler, StepLimits
from consilience_node.engines.llama_cpp.schema_grammar import grammar_of
from consilience_node.engines.llama_cpp.token_choice import TokenChoice
from consilience_node.engines.llama_cpp.weights import weights_sha256

_PREPARING_THREADS = 2


class Runtime:
    """A loaded model with its context and scheduler.

    `prepare` and `count_tokens` may run on the threads of `preparing`; all else belongs to the
    engine thread.

    Raises:
        ModelNotFound: there is no such model.
        ModelUnusable: llama.cpp cannot run it.
    """

    def __init__(self, options: LlamaCppOptions) -> None:
        version = start_backend()
        cache = options.cache_directory or user_cache_directory()
        path = find_model(options.model, cache_directory=cache)
        self._model = Model(path)
        try:
            self._template = ChatTemplate(self._model, override=options.chat_template)
            self._context = _open_context(self._model, options)
        except BaseException:
            self._model.close()
            raise
        self.scheduler = _make_scheduler(self._model, self._context, options)
        self.preparing = ThreadPoolExecutor(_PREPARING_THREADS, thread_name_prefix="consilience-prompt")
        self.info = ModelInfo(
            id=Path(options.model).stem,
            family=self._model.family,
            parameter_count=self._model.parameter_count,
            quantization=self._model.quantization,
            weights_sha256=weights_sha256(path, cache_directory=cache),
            context_length_tokens=self._sequence_limit,
            engine="llama.cpp",
            engine_version=version,
        )

    @property
    def _sequence_limit(self) -> int:
        """Most tokens of one prompt and its answer."""
        return min(self._model.trained_context_tokens or self._context.cells, self._context.cells)

    def count_tokens(self, prompt: Prompt) -> int:
        """Counts the tokens of a rendered prompt."""
        return len(self._template.encode(prompt.messages))

    def prepare(self, request_id: int, prompt: Prompt, sampling: Sampling) -> Request:
        """Does for a request what can be done beside the engine thread.

        Raises:
            ContextTooLong: the prompt leaves no room for an answer.
            SchemaUnsupported: the schema cannot be enforced.
        """
        tokens = self._template.encode(prompt.messages)
        limit = self._sequence_limit - 1
        if len(tokens) > limit:
            raise ContextTooLong(limit=limit, given=len(tokens))
        schema = sampling.json_schema
        return Request(
            id=request_id,
            prompt=tuple(tokens),
            sampling=sampling,
            output_limit=min(sampling.max_output_tokens, self._sequence_limit - len(tokens)),
            grammar=None if schema is None else grammar_of(schema),
            share_prefix=prompt.share_prefix and self._model.shares_prefixes,
        )

    def submit(self, request: Request) -> None:
        """Queues a prepared request.

        Raises:
            SchemaUnsupported: llama.cpp cannot follow the grammar of the schema.
        """
        grammar = None
        if request.grammar is not None:
            grammar = Grammar(request.grammar, vocabulary=self._model.vocabulary)
        choice = TokenChoice(request.sampling, grammar=grammar)
        self.scheduler.submit(Generation(request, choice=choice))

    def close(self) -> None:
        """Waits for prompts in preparation, and frees everything."""
        self.preparing.shutdown(wait=True)
        self.scheduler.close()
        self._context.close()
        self._model.close()


def _sequences(options: LlamaCppOptions) -> int:
    """Returns the number of sequence ids: one per generation, and as many for idle strands."""
    return 2 * options.generations


def _open_context(model: Model, options: LlamaCppOptions) -> Context:
    return Context(
        model,
        cells=options.context_tokens,
        sequences=_sequences(options),
        batch_tokens=options.batch_tokens,
        threads=options.threads or os.cpu_count() or 1,
    )


def _make_scheduler(model: Model, context: Context, options: LlamaCppOptions) -> Scheduler:
    ledger = CellLedger(
        context,
        cells=context.cells,
        sequences=_sequences(options),
        idle_cells=options.idle_tokens,
    )
    limits = StepLimits(generations=options.generations, batch_tokens=options.batch_tokens)
    return Scheduler(context=context, ledger=ledger, vocabulary=model.vocabulary, limits=limits)
