from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from consilience_node.engines.llama_cpp import LlamaCppEngine, LlamaCppOptions
from consilience_node.engines.llama_cpp.backend import start_backend
from consilience_node.engines.llama_cpp.model import Model
from consilience_node.engines.llama_cpp.vocabulary import Vocabulary


class OpenEngine(Protocol):
    def __call__(self, **options: int) -> AbstractAsyncContextManager[LlamaCppEngine]: ...


@pytest.fixture(scope="session")
def model(smollm2: Path) -> Iterator[Model]:
    start_backend()
    model = Model(smollm2)
    yield model
    model.close()


@pytest.fixture(scope="session")
def vocabulary(model: Model) -> Vocabulary:
    return model.vocabulary


@pytest.fixture
def open_engine(cache_directory: Path) -> OpenEngine:
    """Starts an engine with one thread (the machine may be busy) and closes it at the end of the block."""

    @asynccontextmanager
    async def open_engine(**options: int) -> AsyncIterator[LlamaCppEngine]:
        polite = LlamaCppOptions(cache_directory=cache_directory, threads=1, context_tokens=2048)
        engine = LlamaCppEngine(replace(polite, **options))  # type: ignore[arg-type]
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()

    return open_engine
