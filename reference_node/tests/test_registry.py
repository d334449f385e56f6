"""`consilience-node registry`: a registry alone, as a process."""

from __future__ import annotations

import signal
from pathlib import Path

from consilience.client.reviews import Registries
from consilience.reviews import PublishOutcome
from consilience.units import utc_now
from reference_node.tests.processes import run, serving
from sdk.tests.reviews.specimens import advisory_about, key

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


def test_what_cannot_be_a_registry_is_told_in_words() -> None:
    done = run("registry", "--store", "mysql://host/records")
    assert done.returncode == 2
    assert "names no registry" in done.stderr
    assert "Traceback" not in done.stderr
