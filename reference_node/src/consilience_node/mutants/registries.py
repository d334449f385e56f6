"""Mutants of registries: how records are served and passed on (spec sections 4.5 and 4.7)."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace as changed
from time import monotonic
from typing import Any

from sqlalchemy import update

from consilience._wire import records, registries
from consilience.errors import GrantInvalidError
from consilience.reviews import PublishOutcome
from consilience.server.registry import intake, pages, reading, service, statements
from consilience.server.registry.pages import SYNC, Tokens
from consilience.server.registry.schema import RECORDS
from consilience.server.registry.service import RegistryService
from consilience.v1 import review_pb2
from consilience_node.mutants.registry import mutant, replace

Make = Callable[..., Any]

_A_WHILE = 0.3
_REVIEW = "consilience.v1.Review"
_RETRACTION = "consilience.v1.Retraction"


@mutant("find-is-not-for-everyone")
def _find_is_not_for_everyone() -> None:
    """Who asks without words is turned away, as if a grant were needed."""

    def exclusive(find: Make) -> Make:
        async def find_nodes(self: Any, request: bytes) -> bytes:
            if not registries.decode_node_query(request).text:
                raise GrantInvalidError("only those with a grant may look around")
            answer: bytes = await find(self, request)
            return answer

        return find_nodes

    replace(RegistryService, "find_nodes", exclusive)


@mutant("get-leaves-the-card-out")
def _get_leaves_the_card_out() -> None:
    """A record is served without the card beside it."""
    replace(registries, "encode_record", lambda encode: lambda record: encode(changed(record, card=None)))


@mutant("get-encodes-anew")
def _get_encodes_anew() -> None:
    """A review is parsed and encoded again before it is served."""

    def anew(encode: Make) -> Make:
        def encoded(record: Any) -> Any:
            said = record.object
            if said.payload_type == _REVIEW:
                payload = review_pb2.Review.FromString(said.payload).SerializeToString()
                record = changed(record, object=changed(said, payload=payload))
            return encode(record)

        return encoded

    replace(registries, "encode_record", anew)


@mutant("get-serves-the-latest-card")
def _get_serves_the_latest_card() -> None:
    """The card beside a record is the one with which it came last."""

    def renewing(admit: Make) -> Make:
        def admitted(connection: Any, placed: Any, **more: Any) -> Any:
            outcome = admit(connection, placed, **more)
            if outcome is PublishOutcome.KNOWN:
                latest = records.to_bytes(placed.record.record)
                connection.execute(update(RECORDS).where(RECORDS.c.digest == placed.place.digest).values(record=latest))
            return outcome

        return admitted

    replace(statements, "_admit", renewing)


@mutant("get-has-no-card-of-its-own")
def _get_has_no_card_of_its_own() -> None:
    """The registry's own card does not stand beside what was checked with it."""

    def lonely(place: Make) -> Make:
        def placed(record: Any, *, own: Any, now: Any) -> Any:
            found = place(record, own=own, now=now)
            return changed(found, record=changed(record, card=None)) if record.card is own is not None else found

        return placed

    replace(intake, "_placed", lonely)


@mutant("get-takes-hashes-of-payloads")
def _get_takes_hashes_of_payloads() -> None:
    """A record is served by the hash of its payload as well."""
    digests: dict[bytes, Any] = {}

    def noting(publish: Make) -> Make:
        async def publishing(self: Any, record: Any) -> Any:
            digests[hashlib.sha256(record.object.payload).digest()] = record.digest
            return await publish(self, record)

        return publishing

    def serving(get: Make) -> Make:
        async def get_record(self: Any, request: bytes) -> bytes:
            digest = registries.decode_get(request)
            answer: bytes = await get(self, registries.encode_get(digests.get(digest, digest)))
            return answer

        return get_record

    replace(intake.Intake, "publish", noting)
    replace(RegistryService, "get_record", serving)


def _lists_otherwise(change: Callable[[Any], dict[str, Any]]) -> None:
    """Looks for the records of another question than was asked."""
    replace(
        reading,
        "about",
        lambda find: lambda connection, query, **more: find(connection, changed(query, **change(query)), **more),
    )


@mutant("list-ignores-the-subject")
def _list_ignores_the_subject() -> None:
    """What is about others is listed too, where an author is named."""
    _lists_otherwise(lambda query: {"subject": b"" if query.author else query.subject})


@mutant("list-ignores-the-types")
def _list_ignores_the_types() -> None:
    """Records of every type are listed, whichever are asked for."""
    _lists_otherwise(lambda _: {"types": ()})


@mutant("list-hides-retracted-reviews")
def _list_hides_retracted_reviews() -> None:
    """A review that was taken back is not listed at all."""

    def hiding(find: Make) -> Make:
        def about(connection: Any, query: Any, **more: Any) -> Any:
            return tuple(entry for entry in find(connection, query, **more) if not _takes_a_review_back(entry))

        return about

    replace(reading, "about", hiding)


def _takes_a_review_back(entry: Any) -> bool:
    said = entry.record.object
    if said.payload_type != _RETRACTION:
        return False
    return review_pb2.Retraction.FromString(said.payload).target_type == review_pb2.RECORD_TYPE_REVIEW


@mutant("list-begins-pages-with-the-last")
def _list_begins_pages_with_the_last() -> None:
    """A page of records begins with the last record of the page before."""

    def again(walk: Make) -> Make:
        def about(self: Any, query: Any, *, before: int | None, now: Any) -> Any:
            return walk(self, query, before=before if before is None else before + 1, now=now)

        return about

    replace(RegistryService, "_about", again)


@mutant("list-leaves-gaps-between-pages")
def _list_leaves_gaps_between_pages() -> None:
    """A page of records leaves out a record behind the page before."""

    def skipping(find: Make) -> Make:
        def about(connection: Any, query: Any, *, before: int | None, **more: Any) -> Any:
            found = find(connection, query, before=before, **more)
            return found if before is None else found[1:]

        return about

    replace(reading, "about", skipping)


@mutant("list-counts-pages-from-the-top")
def _list_counts_pages_from_the_top() -> None:
    """A page of records goes on behind as many records as were read, and not behind the last of them."""
    places: dict[int, int] = {}

    def counting(find: Make) -> Make:
        def about(connection: Any, query: Any, *, before: int | None, limit: int, **more: Any) -> Any:
            skip = 0 if before is None else places[before]
            found = find(connection, query, before=None, limit=skip + limit, **more)[skip:]
            places.update({entry.serial: place for place, entry in enumerate(found, start=skip + 1)})
            return found

        return about

    replace(reading, "about", counting)


@mutant("list-fills-pages-up")
def _list_fills_pages_up() -> None:
    """A page of two holds three."""
    replace(
        service,
        "_filled",
        lambda fill: lambda entries, *, page_size: fill(entries, page_size=3 if page_size == 2 else page_size),  # noqa: PLR2004
    )


def _lenient(*, begins: bytes, size: int) -> None:
    """Looks at no code of tokens of a purpose that begins so, and takes positions of a size out of them."""

    def trusting(read: Make) -> Make:
        def position(self: Any, token: bytes, *, purpose: bytes) -> bytes:
            if not purpose.startswith(begins):
                return bytes(read(self, token, purpose=purpose))
            found = token[:-16].rjust(size, b"\0")[:size]
            return bytes([found[0] & 0x7F]) + found[1:]  # numbers of databases have a sign

        return position

    replace(Tokens, "position", trusting)


@mutant("list-takes-any-token")
def _list_takes_any_token() -> None:
    """Nobody looks whether a page token of records was made here."""
    _lenient(begins=b"RecordQuery", size=8)


@mutant("find-takes-any-token")
def _find_takes_any_token() -> None:
    """Nobody looks whether a page token of cards was made here."""
    _lenient(begins=b"NodeQuery", size=16)


@mutant("sync-takes-any-cursor")
def _sync_takes_any_cursor() -> None:
    """Nobody looks whether a cursor was made here."""
    _lenient(begins=SYNC, size=8)


def _one_purpose(kind: str) -> None:
    def alike(purpose: Make) -> Make:
        return lambda query: type(query).__name__.encode() if type(query).__name__ == kind else purpose(query)

    replace(service, "purpose_of", alike)


@mutant("list-takes-tokens-of-other-listings")
def _list_takes_tokens_of_other_listings() -> None:
    """A page token of one listing leads on in another."""
    _one_purpose("RecordQuery")


@mutant("find-takes-tokens-of-other-questions")
def _find_takes_tokens_of_other_questions() -> None:
    """A page token of one question leads on in another."""
    _one_purpose("NodeQuery")


@mutant("list-takes-cursors-for-tokens")
def _list_takes_cursors_for_tokens() -> None:
    """A cursor is good for a page token."""

    def either(read: Make) -> Make:
        def position(self: Any, token: bytes, *, purpose: bytes) -> bytes:
            cursors = token[-16:] == self._code(token[:-16], purpose=SYNC)
            return token[:-16] if cursors else bytes(read(self, token, purpose=purpose))

        return position

    replace(pages.Tokens, "position", either)


def _feed(change: Callable[[Any], Any]) -> None:
    """Streams other numbers and digests than were taken in."""
    replace(reading, "taken_in", lambda make: lambda connection, **more: tuple(change(make(connection, **more))))


@mutant("sync-runs-ahead")
def _sync_runs_ahead() -> None:
    """A cursor stands behind the record that comes next."""
    _feed(lambda taken: [(number + 1, digest) for number, digest in taken])


@mutant("sync-goes-backwards")
def _sync_goes_backwards() -> None:
    """The latest digests come first."""
    replace(
        registries,
        "encode_digests",
        lambda encode: lambda digests, *, cursor: encode(list(reversed(digests)), cursor=cursor),
    )


@mutant("sync-begins-with-the-last")
def _sync_begins_with_the_last() -> None:
    """A cursor stands before the last record that was read."""

    def again(make: Make) -> Make:
        async def sync_records(self: Any, request: bytes, write: Any) -> bytes:
            cursor = registries.decode_sync(request)
            if cursor:
                after = int.from_bytes(self.tokens.position(cursor, purpose=SYNC))
                request = registries.encode_sync(self.tokens.token(max(0, after - 1).to_bytes(8), purpose=SYNC))
            answer: bytes = await make(self, request, write)
            return answer

        return sync_records

    replace(RegistryService, "sync_records", again)


@mutant("sync-ends-after-a-response")
def _sync_ends_after_a_response() -> None:
    """A stream from behind a cursor ends after one response, of one digest."""

    class Enough(Exception):
        """The first response was written."""

    def once(make: Make) -> Make:
        async def sync_records(self: Any, request: bytes, write: Any) -> bytes:
            if not registries.decode_sync(request):
                whole: bytes = await make(self, request, write)
                return whole
            written: list[bytes] = []

            async def write_one(response: bytes) -> None:
                if written:
                    raise Enough
                written.append(response)
                await write(response)

            try:
                answer: bytes = await make(self, request, write_one)
            except Enough:
                return b""
            return answer

        return sync_records

    replace(service, "DIGESTS_IN_A_RESPONSE", lambda _: 1)
    replace(RegistryService, "sync_records", once)


@mutant("sync-overtakes")
def _sync_overtakes() -> None:
    """Of records that come together some are streamed a little later, though their numbers are passed already."""
    running: set[object] = set()
    hidden: dict[bytes, float] = {}

    def late(publish: Make) -> Make:
        async def publishing(self: Any, record: Any) -> Any:
            me = object()
            running.add(me)
            try:
                await asyncio.sleep(0)
                if len(running) > 1 and len(hidden) % 2 == 0:
                    hidden[record.digest] = monotonic() + _A_WHILE
                elif len(running) > 1:
                    hidden[record.digest] = 0.0
                return await publish(self, record)
            finally:
                running.discard(me)

        return publishing

    replace(intake.Intake, "publish", late)
    _feed(lambda taken: [one for one in taken if hidden.get(bytes(one[1]), 0.0) < monotonic()])


@mutant("cursors-die-with-the-process")
def _cursors_die_with_the_process() -> None:
    """A cursor is told by something that every process draws anew."""
    mine = os.urandom(16)
    replace(
        Tokens, "_code", lambda code: lambda self, position, *, purpose: code(self, position, purpose=purpose + mine)
    )
