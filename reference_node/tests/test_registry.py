"""`consilience-node registry`: a registry alone, as a process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import pytest
from sqlalchemy import URL

from consilience.client.reviews import Registries
from consilience.errors import LimitExceeded, LimitExceededError, TransportError
from consilience.nodes import NodeAddress
from consilience.reviews import NodeQuery, OpenRecord, PublishOutcome, RecordQuery
from consilience.units import Digest, utc_now
from reference_node.tests.processes import run, serving
from reference_node.tests.test_serving import metrics_of
from sdk.tests.reviews.specimens import advisory_about, key
from sdk.tests.server.registry.callers import RegistryCaller, calling_registry

WARNING = advisory_about(key("node").public_key, author=key("author"), at=utc_now())
WARNED = key("warned").public_key
AT_ONCE, DYING_AT = 8, 80
"""So many records are published at one time, and with these the registry dies."""


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


def test_the_folder_of_the_records_is_not_made_for_a_slip(tmp_path: Path) -> None:
    words = ("--address", "127.0.0.1:0", "--state-folder", tmp_path / "made" / "registry")
    done = run("registry", "--store", f"sqlite:///{tmp_path}/nowhere/records.db", *words)
    assert done.returncode == 6
    assert f"there is no folder {tmp_path}/nowhere" in done.stderr
    assert "Make the folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "made" / "registry").is_dir(), "the state folder of a node is made"


def test_two_registries_do_not_work_on_one_file(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/records.db"
    with serving("--store", store, folder=tmp_path / "first", verb="registry"):
        words = ("--store", store, "--address", "127.0.0.1:0", "--state-folder", tmp_path / "second")
        done = run("registry", *words)
    assert done.returncode == 6
    assert "another process keeps its records in" in done.stderr
    assert "Traceback" not in done.stderr


def _warnings(name: str, count: int) -> list[OpenRecord]:
    return [advisory_about(WARNED, author=key(f"{name} {number}"), at=utc_now()) for number in range(count)]


async def _held(caller: RegistryCaller) -> set[Digest]:
    return {digest for digests, _ in await caller.feed() for digest in digests}


async def _listed(first: RegistryCaller, others: RegistryCaller) -> list[Digest]:
    """Returns what is said of the one warned of: the first page of one registry, and the other pages of another."""
    query = RecordQuery(subject=WARNED, page_size=7)
    page, token = await first.records(query)
    found = [record.digest for record in page]
    while token:
        page, token = await others.records(RecordQuery(subject=WARNED, page_size=7, page_token=token))
        found += [record.digest for record in page]
    return found


async def test_processes_on_one_database_are_one_registry_and_outlive_each_other(
    tmp_path: Path, postgres_url: URL
) -> None:
    store = ("--store", postgres_url.render_as_string(hide_password=False))
    said, later = _warnings("early", 40), _warnings("late", 160)
    with contextlib.ExitStack() as processes:
        dying, living = (
            processes.enter_context(serving(*store, folder=tmp_path / name, verb="registry"))
            for name in ("dying", "living")
        )
        async with (
            calling_registry(NodeAddress.parse(dying.address)) as one,
            calling_registry(NodeAddress.parse(living.address)) as other,
        ):
            brought = zip(said, (one, other) * 20, strict=True)
            await asyncio.gather(*(caller.publish(warning.record) for warning, caller in brought))
            held = await _held(one)
            assert held == await _held(other)
            assert held > {warning.digest for warning in said}
            assert sorted(await _listed(one, other)) == sorted(warning.digest for warning in said)
            *_, (_, cursor) = await one.feed()

            stored = set()
            for start in range(0, len(later), AT_ONCE):
                some = later[start : start + AT_ONCE]
                publishing = [asyncio.create_task(one.publish(warning.record)) for warning in some]
                if start == DYING_AT:
                    dying.send(signal.SIGKILL)
                outcomes = await asyncio.gather(*publishing, return_exceptions=True)
                done = zip(some, outcomes, strict=True)
                stored |= {warning.digest for warning, outcome in done if outcome is PublishOutcome.STORED}
            assert DYING_AT <= len(stored) < len(later)
            assert isinstance(outcomes[-1], TransportError)
            assert await _held(other) >= held | stored
            await other.bring(later)
            new = {digest for digests, _ in await other.feed(cursor) for digest in digests}
            assert new == {warning.digest for warning in later}
            assert await _held(other) == held | new
        assert dying.wait() == -signal.SIGKILL
