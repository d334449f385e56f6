from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.identity import KeyPair
from reference_node.tests.processes import NodeProcess, serving
from reference_node.tests.specimens import CONFIG, DOCUMENTS
from sdk.tests.server.registry.conftest import postgres_uri, postgres_url  # noqa: F401 - pytest finds them here


@pytest.fixture(scope="session", autouse=True)
def _home_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps caches, keys and state away from the user's, in this process and in those that it starts."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CACHE", "CONFIG", "STATE"):
            patch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
        yield


@pytest.fixture(scope="session")
def smollm2_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """One node on the packaged model for all tests that only ask it."""
    folder = tmp_path_factory.mktemp("smollm2-node")
    (folder / "node.toml").write_text(CONFIG)
    (folder / "marked").mkdir()
    for name, text in DOCUMENTS.items():
        (folder / "marked" / name).write_text(text)
    with serving("--config", folder / "node.toml", folder=folder) as node:
        yield node


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with Client(KeyPair.generate(), card_file=tmp_path / "cards") as client:
        yield client
