"""What a peer that goes away leaves in the log of the reference node: nothing, or it could fill it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from consilience_conformance.peers.http2 import Manners, Request, connect, framed, rapid_resets
from reference_node.tests.processes import serving

CARD = Request(path="/consilience.v1.NodeService/GetNodeCard")
NO_MESSAGE = Request(path=CARD.path, body=b"")
NO_CALL = Request(path="/consilience.v1.AskService/Ask", body=framed(b"\xff\xff\xff"))
PATIENCE = 20.0
CONFIG = """
[[models]]
id = "script"
engine = "scripted"
script = "script.toml"
[[skills]]
id = "chat"
model = "script"
"""


async def leave_with_a_closed_window(port: int, request: Request, *, hard: bool) -> None:
    manners = Manners(initial_window_bytes=0, refills_windows=False)
    async with connect("127.0.0.1", port=port, manners=manners, budget=PATIENCE) as peer:
        stream = peer.start(request)
        await stream.send(request.body, end=True, budget=PATIENCE)
        await stream.read_headers(budget=PATIENCE)
        await peer.drop(hard=hard)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "script.toml").write_text('[[programs]]\nsteps = [{ emit = "Done." }]\n')
    (tmp_path / "node.toml").write_text(CONFIG)
    return tmp_path


async def test_callers_who_vanish_leave_no_error_in_the_log(folder: Path) -> None:
    with serving("--config", folder / "node.toml", "--log-format", "json", folder=folder) as node:
        port = int(node.address.rpartition(":")[2])
        for hard in (False, True) * 5:
            for request in (CARD, NO_MESSAGE, NO_CALL):
                await leave_with_a_closed_window(port, request, hard=hard)
        async with connect("127.0.0.1", port=port, budget=PATIENCE) as peer:
            await rapid_resets(peer, CARD, count=100, budget=PATIENCE)
            await peer.call(CARD, budget=PATIENCE)
        node.send(signal.SIGTERM)
        node.wait()
        logged = [json.loads(line) for line in node.log.splitlines()]
    assert logged
    assert [entry for entry in logged if entry["level"] != "info"] == []
