from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consilience_node.engines.llama_cpp.model_files import find_model
from reference_node.tests.engines.servers import llama_server


@pytest.fixture(scope="session")
def cache_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the test run, so that it neither uses nor leaves anything in the user's."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def smollm2(cache_directory: Path) -> Path:
    """The small model that comes as a package."""
    return find_model("smollm2-135m-instruct", cache_directory=cache_directory)


@pytest.fixture(scope="session")
def server_url(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server with the OpenAI chat interface, on the small model."""
    with llama_server(smollm2, log=tmp_path_factory.mktemp("server") / "log") as url:
        yield url
