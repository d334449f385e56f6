"""The registry that the judge plays gives what a check wants, breaks once, and forgets it all with each check."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence

import grpc
import pytest
import pytest_asyncio
from grpc import aio

from consilience.v1 import registry_pb2, registry_pb2_grpc
from consilience_conformance.callers import Caller
from consilience_conformance.following import feeds
from consilience_conformance.following.feeds import CutError, Feed, Page, Then, failing, offered, served_feed
from consilience_conformance.peers.places import PlaceError
from consilience_conformance.records.made_up import advisory, name_of, record_of
from consilience_conformance.targets import reach
from consilience_conformance.transcripts import Ended, Transcript
from reference_node.tests.lines import HOST, free_ports

Responses = list[registry_pb2.SyncRecordsResponse]


def _record() -> registry_pb2.Record:
    author = Caller.new()
    return record_of(author.seal(advisory(author)))


def _page(*records: registry_pb2.Record, then: Then = Then.GO_ON, moves: bool = True) -> Page:
    return Page(offers=tuple(map(offered, records)), then=then, moves=moves)


class _Reader:
    """Whoever follows the feed.

    Attributes:
        feed: It.
        seen: What the feed has written down.
    """

    def __init__(self, feed: Feed, channel: aio.Channel) -> None:
        self.feed = feed
        self.seen = Transcript(check="any")
        self._stub = registry_pb2_grpc.RegistryServiceStub(channel)
        feed.attend(self.seen)

    async def read(self, cursor: bytes = b"") -> tuple[Responses, grpc.StatusCode]:
        """Reads a stream to its end."""
        responses: Responses = []
        try:
            async for response in self._stub.SyncRecords(registry_pb2.SyncRecordsRequest(cursor=cursor)):
                responses.append(response)
        except aio.AioRpcError as error:
            return responses, error.code()
        return responses, grpc.StatusCode.OK

    async def get(self, digest: bytes) -> registry_pb2.Record:
        """Gets a record."""
        response = await self._stub.GetRecord(registry_pb2.GetRecordRequest(digest=digest), wait_for_ready=True)
        record: registry_pb2.Record = response.record
        return record


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[_Reader]:
    async with served_feed(f"{HOST}:{free_ports(1)[0]}") as feed, aio.insecure_channel(feed.authority) as channel:
        yield _Reader(feed, channel)


def _digests(responses: Responses) -> list[bytes]:
    return [digest for response in responses for digest in response.digests]


def _names(records: Sequence[registry_pb2.Record]) -> list[bytes]:
    return list(map(name_of, records))


async def test_what_is_announced_is_streamed_and_given(reader: _Reader) -> None:
    records = [_record() for _ in range(3)]
    reader.feed.announce([_page(*records[:2]), _page(records[2])])
    responses, code = await reader.read()
    assert (_digests(responses), code) == (_names(records), grpc.StatusCode.OK)
    assert _digests((await reader.read(responses[0].cursor))[0]) == _names(records[2:])
    assert await reader.get(name_of(records[0])) == records[0]
    assert reader.feed.rounds == 2


@pytest.mark.parametrize(
    ("then", "codes"),
    [
        (Then.END, {grpc.StatusCode.OK}),
        (Then.RESET, {grpc.StatusCode.INTERNAL}),
        (Then.CUT, {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}),
        (Then.FALL_SILENT, {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}),
    ],
)
async def test_a_stream_breaks_once_behind_a_page(
    reader: _Reader, then: Then, codes: set[grpc.StatusCode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "SILENT_SECONDS", 0.05)
    before, behind = _record(), _record()
    reader.feed.announce([_page(before, then=then), _page(behind)])
    responses, code = await reader.read()
    assert _digests(responses) == _names([before])
    assert code in codes
    await reader.get(name_of(behind))  # waits until the feed listens again
    assert await _read_whole(reader) == _names([before, behind])


async def _read_whole(reader: _Reader) -> list[bytes]:
    responses, code = await reader.read()
    assert code is grpc.StatusCode.OK
    return _digests(responses)


async def test_a_cursor_may_stand(reader: _Reader) -> None:
    reader.feed.announce([_page(_record()), _page(_record(), moves=False), _page(_record())])
    first, standing, last = (await reader.read())[0]
    assert first.cursor == standing.cursor != last.cursor


async def test_a_record_may_be_given_after_something_else(reader: _Reader) -> None:
    record = _record()

    def cut() -> bytes:
        raise CutError

    reader.feed.announce([Page(offers=(offered(record, lambda: b"", cut),))])
    assert await reader.get(name_of(record)) == registry_pb2.Record()
    with pytest.raises(aio.AioRpcError):
        await reader.get(name_of(record))
    assert await reader.get(name_of(record)) == record
    assert [exchange.ended for exchange in reader.seen.exchanges] == [Ended.STATUS, Ended.CUT, Ended.STATUS]


async def test_what_one_check_announced_is_gone_when_the_next_begins(reader: _Reader) -> None:
    stale, fresh = _record(), _record()
    reader.feed.announce([_page(stale, then=Then.RESET), Page(offers=(failing(lambda: b""),))])
    (response,), _ = await reader.read()
    reader.feed.attend(Transcript(check="next"))
    reader.feed.announce([_page(fresh)])
    for cursor in (b"", response.cursor, b"of another registry"):
        assert _digests((await reader.read(cursor))[0]) == _names([fresh])
    with pytest.raises(aio.AioRpcError) as refused:
        await reader.get(name_of(stale))
    assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.NOT_FOUND, "RECORD_UNKNOWN")


async def test_rounds_that_bring_nothing_are_counted_and_not_written_down(reader: _Reader) -> None:
    await reader.read()
    assert (reader.feed.rounds, reader.seen.exchanges) == (1, [])


async def test_it_shows_the_card_of_a_registry(reader: _Reader) -> None:
    assert (await reach(reader.feed.authority)).node_id == reader.feed.identity.node_id


@pytest.mark.parametrize("address", ["", "7349", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:x", "registry.example:7349"])
async def test_an_address_that_the_judge_cannot_have_is_told(address: str) -> None:
    with pytest.raises(PlaceError, match="is no address at which the judge can be called: write"):
        async with served_feed(address):
            pass


async def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(PlaceError, match="no registry can be served at"):
            async with served_feed(f"{HOST}:{taken.getsockname()[1]}"):
                pass
