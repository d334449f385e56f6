"""Mutants of following: what a registry makes of another one (spec section 4.7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import replace as changed
from datetime import timedelta
from typing import Any

from consilience import envelopes
from consilience.client.reviews.registries import Registry
from consilience.errors import (
    ConsilienceError,
    LimitExceededError,
    ProtocolError,
    RecordExpiredError,
    RecordNotYetValidError,
    RecordUnknownError,
    RefusedError,
    TransportError,
)
from consilience.reviews import PublishOutcome, records
from consilience.server.registry import intake, reading, sync
from consilience.server.registry.office import RegistryOffice
from consilience.server.registry.store import SqlRecordStore
from consilience.server.registry.sync import Follower
from consilience.units import Digest
from consilience_node.mutants.registry import mutant, replace

Make = Callable[..., Any]

_taking_over: ContextVar[bool] = ContextVar("taking_over", default=False)
"""Whether what is admitted came from a registry that is followed."""


@mutant("follow-keeps-nothing")
def _follow_keeps_nothing() -> None:
    """What a followed registry gives is fetched, and not kept."""

    def idle(_: Make) -> Make:
        async def take_in(*_: Any) -> int:
            return 0

        return take_in

    replace(Follower, "_take_in", idle)


@mutant("follow-passes-nothing-on")
def _follow_passes_nothing_on() -> None:
    """What was taken over does not stand in the registry's own feed."""
    taken: set[bytes] = set()

    def noting(take_in: Make) -> Make:
        async def noted(self: Any, brought: Any) -> int:
            taken.update(record.digest for record in brought)
            return int(await take_in(self, brought))

        return noted

    replace(Follower, "_take_in", noting)
    replace(
        reading,
        "taken_in",
        lambda make: (
            lambda connection, **more: tuple(one for one in make(connection, **more) if bytes(one[1]) not in taken)
        ),
    )


def _trusting(owner: Any, name: str, lenient: Callable[[Make], Make]) -> None:
    """Checks what is taken over more leniently than what its author brings."""

    def knowing(take_in: Make) -> Make:
        async def known(self: Any, brought: Any) -> int:
            token = _taking_over.set(True)
            try:
                return int(await take_in(self, brought))
            finally:
                _taking_over.reset(token)

        return known

    def either(check: Make) -> Make:
        forgiving = lenient(check)

        def checked(*words: Any, **more: Any) -> Any:
            return (forgiving if _taking_over.get() else check)(*words, **more)

        return checked

    replace(Follower, "_take_in", knowing)
    replace(owner, name, either)


def _not_at_all(_: Make) -> Make:
    return lambda *_, **__: None


@mutant("follow-trusts-signatures")
def _follow_trusts_signatures() -> None:
    """The signatures of what a followed registry gives are not looked at."""
    _trusting(envelopes, "verify", _not_at_all)


@mutant("follow-trusts-tickets")
def _follow_trusts_tickets() -> None:
    """A review that comes from a followed registry need not open its ticket."""
    _trusting(records, "_check_ticket", _not_at_all)


@mutant("follow-trusts-keys")
def _follow_trusts_keys() -> None:
    """Of what comes from a followed registry, nobody asks whether a key signs for the node that it names."""
    _trusting(records, "check_signing_key", _not_at_all)


@mutant("follow-trusts-successions")
def _follow_trusts_successions() -> None:
    """A succession that comes from a followed registry need rest on no card."""
    _trusting(records, "_check_succession", _not_at_all)


@mutant("follow-trusts-times")
def _follow_trusts_times() -> None:
    """What comes from a followed registry may be from the future, or have ended."""

    def timeless(place_of: Make) -> Make:
        def place(record: Any, *, now: Any) -> Any:
            try:
                return place_of(record, now=now)
            except (RecordExpiredError, RecordNotYetValidError):
                return changed(records._place(record), end=now + timedelta(days=1))

        return place

    _trusting(intake, "place_of", timeless)


@mutant("follow-stops-at-refused-records")
def _follow_stops_at_refused_records() -> None:
    """A round ends at a record that is refused, and the next one as well."""
    replace(sync, "says_full", lambda _: lambda _: True)


@mutant("follow-leaves-out-what-stands-beside")
def _follow_leaves_out_what_stands_beside() -> None:
    """Of a response in which a record is refused, what stands behind that record is passed over."""

    def short(_: Make) -> Make:
        async def take_in(self: Any, brought: Any) -> int:
            stored = 0
            for record in brought:
                (admission,) = await self._intake.admit([record])
                if isinstance(admission, RefusedError):
                    break
                stored += admission is PublishOutcome.STORED
            return stored

        return take_in

    replace(Follower, "_take_in", short)


def _taken_for(kind: type[ConsilienceError], another: type[ConsilienceError]) -> None:
    """Takes one failure of a record to come for another."""

    def mistaken(fetch: Make) -> Make:
        async def record(self: Any, digest: Any) -> Any:
            try:
                return await fetch(self, digest)
            except kind as error:
                raise another(str(error)) from error

        return record

    replace(Registry, "record", mistaken)


@mutant("follow-stops-at-what-is-no-record")
def _follow_stops_at_what_is_no_record() -> None:
    """A round ends at what is no record, or another one, and the next one as well."""
    _taken_for(ProtocolError, ConsilienceError)


@mutant("follow-stops-at-records-that-are-gone")
def _follow_stops_at_records_that_are_gone() -> None:
    """A round ends at a record that is not there any more, and the next one as well."""
    _taken_for(RecordUnknownError, ConsilienceError)


@mutant("follow-insists-on-records")
def _follow_insists_on_records() -> None:
    """A record that does not come is asked for in every round, and nothing behind it."""
    _taken_for(TransportError, ConsilienceError)


@mutant("follow-gives-up-what-is-put-off")
def _follow_gives_up_what_is_put_off() -> None:
    """A record that is refused for a bound of the address is passed over."""

    def once(_: Make) -> Make:
        async def read(self: Any, method: str, request: bytes, **_: Any) -> bytes:
            answer: bytes = await self._call(method, request)
            return answer

        return read

    replace(Registry, "_read", once)
    _taken_for(LimitExceededError, RecordUnknownError)


@mutant("follow-notes-cursors-first")
def _follow_notes_cursors_first() -> None:
    """The cursor of each response is noted, and the records are fetched once the stream has ended."""

    def hasty(_: Make) -> Make:
        async def one_round(self: Any, cursor: bytes) -> int:
            missing: list[Digest] = []
            async for digests, behind in self._peer.digests(cursor):
                await self._store.note_cursor(self.address, behind)
                missing += await self._store.unknown(digests)
            return await self._take_in(self._but_broken(await self._fetched(missing))) if missing else 0

        return one_round

    replace(Follower, "_round", hasty)


class _GivenUpError(ConsilienceError):
    """A stream broke off in the middle."""


@mutant("follow-gives-up-after-a-break")
def _follow_gives_up_after_a_break() -> None:
    """A registry whose stream broke off in the middle is followed no more."""

    def brittle(stream: Make) -> Make:
        async def digests(self: Any, cursor: bytes) -> AsyncIterator[Any]:
            begun = False
            try:
                async for response in stream(self, cursor):
                    yield response
                    begun = True
            except TransportError as error:
                raise (_GivenUpError(str(error)) if begun else error) from error

        return digests

    def fickle(_: Make) -> Make:
        async def keep_following(self: Any, follower: Any) -> None:
            while True:
                try:
                    await follower.follow()
                except _GivenUpError:
                    return
                except ConsilienceError:
                    pass
                await asyncio.sleep(self._interval.total_seconds())

        return keep_following

    replace(Registry, "digests", brittle)
    replace(RegistryOffice, "_keep_following", fickle)


@mutant("follow-ends-at-a-cursor-that-stands")
def _follow_ends_at_a_cursor_that_stands() -> None:
    """A round ends at a response whose cursor is the one from before it."""

    def wary(stream: Make) -> Make:
        async def digests(self: Any, cursor: bytes) -> AsyncIterator[Any]:
            stood = cursor
            async for some, behind in stream(self, cursor):
                yield some, behind
                if behind == stood:
                    return
                stood = behind

        return digests

    replace(Registry, "digests", wary)


@mutant("follow-fetches-what-it-holds")
def _follow_fetches_what_it_holds() -> None:
    """What a followed registry announces is fetched, whether it is held or not."""

    def ignorant(_: Make) -> Make:
        async def unknown(_: Any, digests: Any) -> Any:
            return tuple(digests)

        return unknown

    replace(SqlRecordStore, "unknown", ignorant)
