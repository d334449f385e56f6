"""What the reference node makes of each misbehaviour: it serves other connections, whatever one connection does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from consilience.v1.node_pb2 import GetNodeCardResponse, NodeCard
from consilience_conformance.peers.http2 import (
    Manners,
    Request,
    StreamEnd,
    call_many,
    connect,
    framed,
    open_many,
    rapid_resets,
)
from reference_node.tests.processes import serving

CARD = Request(path="/consilience.v1.NodeService/GetNodeCard")
ASK = Request(path="/consilience.v1.AskService/Ask")
PATIENCE = 20.0
SCRIPT = '[[programs]]\nsteps = [{ emit = "Done." }]\n'
CONFIG = """
[[models]]
id = "script"
engine = "scripted"
script = "script.toml"
[[skills]]
id = "chat"
model = "script"
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a reference node on a scripted engine, the same for all tests here."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "script.toml").write_text(SCRIPT)
    (folder / "node.toml").write_text(CONFIG)
    with serving("--config", folder / "node.toml", folder=folder) as node:
        yield int(node.address.rpartition(":")[2])


async def gives_its_card(port: int) -> None:
    async with connect("127.0.0.1", port=port, budget=PATIENCE) as peer:
        observed = await peer.call(CARD, budget=PATIENCE)
    assert observed.status is not None
    assert observed.status.code == 0
    response = GetNodeCardResponse.FromString(observed.messages[0].payload)
    assert NodeCard.FromString(response.card.payload).skills[0].id == "chat"


async def test_a_proper_call_returns_the_card(port: int) -> None:
    await gives_its_card(port)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Request(path="/consilience.v1.NodeService/Unknown"), 12),
        (Request(path="/consilience.v1.AskService/Ask"), 3),
        (Request(path=ASK.path, body=framed(b"\xff\xff\xff")), 3),
        (Request(path=CARD.path, body=framed(b"", compressed=True)), 13),
        (Request(path=CARD.path, body=framed(b"", declared_bytes=2**32 - 1)), 8),
    ],
)
async def test_a_broken_request_is_told_a_status(port: int, request_: Request, code: int) -> None:
    async with connect("127.0.0.1", port=port, budget=PATIENCE) as peer:
        observed = await peer.call(request_, budget=PATIENCE)
        assert observed.end is StreamEnd.TRAILERS
        assert observed.status is not None
        assert observed.status.code == code
        assert (await peer.call(CARD, budget=PATIENCE)).status is not None


@pytest.mark.parametrize("request_", [Request(path=CARD.path, method="GET"), Request(path=CARD.path, te=None)])
async def test_what_is_no_grpc_is_reset(port: int, request_: Request) -> None:
    async with connect("127.0.0.1", port=port, budget=PATIENCE) as peer:
        observed = await peer.call(request_, budget=PATIENCE)
        assert (observed.end, observed.error_code) == (StreamEnd.RESET, 2)
        await peer.ping(budget=PATIENCE)


async def test_a_request_in_tiny_frames_is_answered(port: int) -> None:
    async with connect("127.0.0.1", port=port, budget=PATIENCE) as peer:
        observed = await peer.call(CARD, chunk_bytes=1, budget=PATIENCE)
    assert observed.status is not None
    assert observed.status.code == 0


async def test_a_slow_reader_gets_the_card_by_bytes(port: int) -> None:
    manners = Manners(initial_window_bytes=16)
    async with connect("127.0.0.1", port=port, manners=manners, budget=PATIENCE) as peer:
        observed = await peer.call(CARD, budget=PATIENCE)
    assert observed.end is StreamEnd.TRAILERS
    assert GetNodeCardResponse.FromString(observed.messages[0].payload).card.payload


async def test_a_reader_who_stops_gets_what_he_granted(port: int) -> None:
    manners = Manners(initial_window_bytes=16, refills_windows=False)
    async with connect("127.0.0.1", port=port, manners=manners, budget=PATIENCE) as peer:
        stream = peer.start(CARD)
        await stream.send(CARD.body, end=True, budget=PATIENCE)
        await stream.read_bytes(16, budget=PATIENCE)
        await gives_its_card(port)
        assert len(stream.observed.rest) == 16
        assert stream.observed.end is StreamEnd.OPEN


async def test_resets_in_a_row_stop_nobody(port: int) -> None:
    async with connect("127.0.0.1", port=port, budget=PATIENCE) as peer:
        await rapid_resets(peer, ASK, count=200, budget=PATIENCE)
        await gives_its_card(port)


async def test_half_open_streams_to_the_limit_stop_nobody(port: int) -> None:
    async with connect("127.0.0.1", port=port, budget=PATIENCE) as peer:
        streams = open_many(peer, ASK, count=dict(peer.observed.settings)[3])
        await asyncio.gather(*(stream.send(b"\x00\x00", budget=PATIENCE) for stream in streams))
        await gives_its_card(port)
        await peer.ping(budget=PATIENCE)
        assert {stream.observed.end for stream in streams} == {StreamEnd.OPEN}


async def test_streams_beyond_the_limit_are_refused(port: int) -> None:
    manners = Manners(heeds_stream_limit=False)
    async with connect("127.0.0.1", port=port, manners=manners, budget=PATIENCE) as peer:
        *_, last = open_many(peer, ASK, count=dict(peer.observed.settings)[3] + 1)
        observed = await last.read(budget=PATIENCE)
        assert (observed.end, observed.error_code) == (StreamEnd.RESET, 7)
        await gives_its_card(port)


async def test_many_calls_at_once_are_all_answered(port: int) -> None:
    async with connect("127.0.0.1", port=port, budget=PATIENCE) as peer:
        observed = await call_many(peer, [CARD] * 100, budget=PATIENCE)
    assert {each.status.code for each in observed if each.status is not None} == {0}
    assert {each.end for each in observed} == {StreamEnd.TRAILERS}


@pytest.mark.parametrize("hard", [False, True])
async def test_a_peer_that_vanishes_stops_nobody(port: int, hard: bool) -> None:  # noqa: FBT001 - a parameter
    async with connect("127.0.0.1", port=port, budget=PATIENCE) as peer:
        stream = peer.start(ASK)
        await stream.send(b"\x00", budget=PATIENCE)
        await peer.drop(hard=hard)
        await gives_its_card(port)
