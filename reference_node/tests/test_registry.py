"""`consilience-node registry`: a registry alone, as a process."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from consilience.client.reviews import Registries
from consilience.errors import LimitExceeded, LimitExceededError
from consilience.nodes import NodeAddress
from consilience.reviews import NodeQuery, PublishOutcome
from consilience.units import utc_now
from reference_node.tests.processes import run, serving
from reference_node.tests.test_serving import metrics_of
from sdk.tests.reviews.specimens import advisory_about, key
from sdk.tests.server.registry.callers import calling_registry

WARNING = advisory_about(key("node").public_key, author=key("author"), at=utc_now())


async def test_a_registry_keeps_what_it_is_brought_over_a_restart(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/records.db"
    async with Registries(card_file=tmp_path / "cards") as registries:
        with serving("--store", store, folder=tmp_path / "registry", verb="registry") as registry:
            assert await registries(registry.address).publish(WARNING.record) is PublishOutcome.STORED
            assert "cards, reviews and warnings of everyone" in registry.output
            assert "Ask it" not in registry.output
            registry.send(signal.SIGTERM)
            assert registry.wait() == 0
        with serving("--store", store, folder=tmp_path / "registry", verb="registry") as registry:
            assert await registries(registry.address).record(WARNING.digest) == WARNING.record


async def test_who_reads_too_much_is_refused_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(
        'models = []\nskills = []\n[node]\nstore = "memory"\n[registry]\nreads_per_minute = 3\n'
        '[metrics]\naddress = "127.0.0.1:0"\n'
    )
    with serving("--config", file, folder=tmp_path / "registry") as registry:
        async with calling_registry(NodeAddress.parse(registry.address)) as caller:
            for _ in range(3):
                await caller.nodes(NodeQuery())
            with pytest.raises(LimitExceededError) as caught:
                await caller.nodes(NodeQuery())
        assert caught.value.detail == LimitExceeded(limit="max_reads_per_minute", maximum=3, requested=4)
        assert caught.value.retry_after is not None
        name = 'method="consilience.v1.RegistryService/FindNodes",reason="LIMIT_EXCEEDED"'
        assert metrics_of(registry)[f"consilience_node_refusals_total{{{name}}}"] == 1


def test_what_cannot_be_a_registry_is_told_in_words() -> None:
    done = run("registry", "--store", "mysql://host/records")
    assert done.returncode == 2
    assert "names no registry" in done.stderr
    assert "Traceback" not in done.stderr
