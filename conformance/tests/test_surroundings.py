"""A command that says that it restarted the node is not believed where the node went on."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from consilience_conformance import surroundings
from consilience_conformance.needs import UntestableError
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.peers.hostile import HostileServer
from consilience_conformance.peers.impostors import Impostor, accepts_all
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.targets import reach


async def test_a_command_that_does_nothing_has_not_restarted_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "HELD_SECONDS", 0.3)
    async with DEGENERATE["accept-all"].serving() as address:
        target = await reach(address)
        with pytest.raises(UntestableError, match="did not restart the node"):
            await Surroundings(restart_command="true").restart(target)


async def test_a_command_that_fails_is_quoted() -> None:
    async with DEGENERATE["accept-all"].serving() as address:
        target = await reach(address)
        with pytest.raises(UntestableError, match="exited with 3: no such unit"):
            await Surroundings(restart_command="echo no such unit >&2; exit 3").restart(target)


async def test_a_node_that_was_restarted_is_reached_again(tmp_path: Path) -> None:
    done = tmp_path / "done"
    command = f"until test -e {shlex.quote(str(done))}; do sleep 0.05; done"
    first, second = _server(), _server()
    await first.start()
    address = f"127.0.0.1:{first.port}"
    target = await reach(address)

    async def swap() -> None:
        await first.stop()
        await second.start(port=first.port)
        done.touch()

    try:
        restarting = asyncio.create_task(Surroundings(restart_command=command).restart(target))
        # The command waits for the file, so the connection that is held stands before the first server ends.
        await asyncio.sleep(0.5)
        await swap()
        assert (await restarting).address == address
    finally:
        await first.stop()
        await second.stop()


def _server() -> HostileServer:
    def respond(method: str, request: bytes) -> AsyncIterator[bytes]:
        return accepts_all(Impostor.at("127.0.0.1:7341"), method, request)

    return HostileServer(respond, name=lambda: "call", record=lambda _: None, origin=monotonic())
