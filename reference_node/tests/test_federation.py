"""Three registries and six nodes as processes: what one knows, all come to know, whoever dies or is cut off."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from consilience.errors import TransportError
from consilience.reviews import NodeQuery, OpenRecord, PublishOutcome
from consilience.units import Digest, utc_now
from reference_node.tests.lines import HOST, NOWHERE, Line, free_ports, lines
from reference_node.tests.processes import NodeProcess, serving
from sdk.tests.reviews.specimens import advisory_about, key
from sdk.tests.server.registry.callers import calling_registry

LOOKS = 600
SCRIPT = '[[programs]]\nsteps = [{ emit = "Forty-two." }]\n'
NODES = 6


@dataclass
class Site:
    """Where a registry or a node is; `port` is what a caller of the test dials."""

    port: int

    async def found(self) -> set[str]:
        """Returns the names of the nodes that are found here, page by page."""
        names: list[str] = []
        async with calling_registry(self) as caller:
            page, token = await caller.nodes(NodeQuery(domain="numbers", page_size=2))
            names += [card.value.name for card in page]
            while token:
                page, token = await caller.nodes(NodeQuery(domain="numbers", page_size=2, page_token=token))
                names += [card.value.name for card in page]
        assert len(set(names)) == len(names)
        return set(names)

    async def held(self) -> set[Digest]:
        async with calling_registry(self) as caller:
            return {digest for digests, _ in await caller.feed() for digest in digests}

    async def publish(self, record: OpenRecord) -> PublishOutcome:
        async with calling_registry(self) as caller:
            return await caller.publish(record.record)


def _registry_file(folder: Path, *, name: str, follow: list[str]) -> Path:
    folder.mkdir()
    file = folder / "node.toml"
    followed = ", ".join(f'"{address}"' for address in follow)
    file.write_text(
        f'models = []\nskills = []\n[node]\nname = "{name}"\nstore = "memory"\nadvertise = ["{NOWHERE}"]\n'
        f"[registry]\nfollow = [{followed}]\nfollow_seconds = 0.2\n"
    )
    return file


def _node_file(folder: Path, *, name: str, registries: list[str]) -> Path:
    folder.mkdir()
    (folder / "script.toml").write_text(SCRIPT)
    file = folder / "node.toml"
    named = ", ".join(f'"{address}"' for address in registries)
    file.write_text(
        f'[node]\nname = "{name}"\nregistries = [{named}]\nstore = "memory"\n'
        '[[models]]\nid = "s"\nengine = "scripted"\nscript = "script.toml"\n'
        '[[skills]]\nid = "count"\nmodel = "s"\ndomains = ["numbers"]\n'
    )
    return file


async def _until(holds: Callable[[], Awaitable[bool]], *, what: str) -> None:
    """Looks again and again until something holds.

    Raises:
        AssertionError: It does not come to hold.
    """
    for _ in range(LOOKS):
        if await holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"it did not come to this: {what}")


def _warning(name: str) -> OpenRecord:
    return advisory_about(key(name).public_key, author=key("author"), at=utc_now(), summary=name)


def _kill(process: NodeProcess) -> None:
    process.send(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.timeout(240)  # nine processes on a small machine
async def test_a_federation_outlives_a_death_and_a_cut(tmp_path: Path) -> None:
    ports = free_ports(6)
    first, second, third = sites = [Site(port) for port in ports[:3]]
    # All that leads to the third registry, or from it, goes over lines that can be cut.
    to_third = Line(port=ports[3], to=third.port)
    to_first = Line(port=ports[4], to=first.port)
    to_second = Line(port=ports[5], to=second.port)
    cut = (to_third, to_first, to_second)
    follow = [
        [f"{HOST}:{second.port}", to_third.address],
        [f"{HOST}:{first.port}", to_third.address],
        [to_first.address, to_second.address],
    ]
    files = [
        _registry_file(tmp_path / f"registry {number}", name=f"registry {number}", follow=follow[number])
        for number in range(3)
    ]

    def registry(number: int) -> contextlib.AbstractContextManager[NodeProcess]:
        address = f"{HOST}:{sites[number].port}"
        return serving("--config", files[number], folder=files[number].parent, address=address)

    def node(number: int) -> contextlib.AbstractContextManager[NodeProcess]:
        named = [f"{HOST}:{sites[place % 3].port}" for place in (number, number + 1)]
        file = _node_file(tmp_path / f"node {number}", name=f"node {number}", registries=named)
        return serving("--config", file, folder=file.parent)

    async def all_hold_the_same(*at: Site, count: int) -> bool:
        there = [await site.held() for site in at]
        return all(held == there[0] for held in there) and len(there[0]) == count

    with contextlib.ExitStack() as processes:
        async with lines(*cut):
            dying = processes.enter_context(registry(0))
            for number in (1, 2):
                processes.enter_context(registry(number))
            for number in range(NODES - 1):
                processes.enter_context(node(number))
            early = {f"node {number}" for number in range(NODES - 1)}
            # The cards of three registries and five nodes.
            await _until(lambda: all_hold_the_same(*sites, count=8), what="all hold the first cards")

            _kill(dying)
            for line in cut:
                await line.cut()
            with pytest.raises(TransportError):
                await first.held()
            assert await second.found() == await third.found() == early
            # Each side goes on by itself; the last node names the dead registry and the one that is cut off.
            assert await second.publish(_warning("here")) is PublishOutcome.STORED
            assert await third.publish(_warning("there")) is PublishOutcome.STORED
            processes.enter_context(node(NODES - 1))

            async def found_at_third() -> bool:
                return await third.found() == early | {"node 5"}

            await _until(found_at_third, what="the last node is found where it is published")
            assert await second.found() == early

            for line in cut:
                await line.heal()
            await _until(lambda: all_hold_the_same(second, third, count=11), what="the two sides hold the same")
            processes.enter_context(registry(0))
            await _until(lambda: all_hold_the_same(*sites, count=11), what="who died comes to hold the same")
            assert await first.found() == early | {"node 5"}
