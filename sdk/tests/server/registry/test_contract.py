"""What every record store keeps to, in SQLite and in PostgreSQL alike."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from consilience import nodes, reviews
from consilience.errors import (
    KeyRetiredError,
    LimitExceededError,
    RecordRetractedError,
    RefusedError,
    SuccessionInvalidError,
    TicketUsedError,
    UsageError,
)
from consilience.reviews import NodeQuery, PublishOutcome, RecordQuery, RecordType
from consilience.server.registry import Arc, RecordStore
from consilience.server.registry.contract import Capacity
from consilience.server.registry.store import SqlRecordStore
from consilience.server.store.contract import StoreUnavailableError
from consilience.units import Digest
from sdk.tests.reviews.specimens import (
    DAY,
    HOUR,
    NOW,
    TestNode,
    advisory_about,
    card_record,
    digests,
    key,
    placed,
    retraction_of,
    review_of,
)
from sdk.tests.server.registry.conftest import MakeDatabase

NODE, OTHER, REVIEWER = TestNode.named("node"), TestNode.named("other"), key("reviewer")
REVIEW = review_of(NODE, reviewer=REVIEWER)
STORED, KNOWN, SUPERSEDED = PublishOutcome.STORED, PublishOutcome.KNOWN, PublishOutcome.SUPERSEDED
SOON = timedelta(seconds=1)


async def admit(store: RecordStore, *records: reviews.OpenRecord) -> list[object]:
    """Returns what became of records that are admitted one by one: an outcome, or the type of a refusal."""
    outcomes: list[object] = []
    for record in records:
        (outcome,) = await store.admit([placed(record)], now=NOW)
        outcomes.append(type(outcome) if isinstance(outcome, RefusedError) else outcome)
    return outcomes


async def held(store: RecordStore) -> set[Digest]:
    return {digest for _, digest in await store.taken_in(after=0, limit=1000, now=NOW)}


async def test_each_store_has_what_the_contract_names(store: SqlRecordStore) -> None:
    assert isinstance(store, RecordStore)
    assert len(store.identity) == 16


async def test_a_record_is_returned_as_it_was_taken_in_with_its_card(store: RecordStore) -> None:
    assert await admit(store, REVIEW) == [STORED]
    assert await store.get(REVIEW.digest, now=NOW) == REVIEW.record
    assert await store.get(Digest(b"x" * 32), now=NOW) is None


async def test_the_same_record_again_is_known_and_changes_nothing(store: RecordStore) -> None:
    await admit(store, REVIEW, card_record(NODE))
    before = await store.taken_in(after=0, limit=10, now=NOW)
    assert await admit(store, REVIEW, card_record(NODE)) == [KNOWN, KNOWN]
    assert await store.taken_in(after=0, limit=10, now=NOW) == before


async def test_a_later_card_takes_the_place_of_an_earlier_one_and_not_the_other_way_round(store: RecordStore) -> None:
    old, new = card_record(NODE, issued=NOW - DAY), card_record(NODE)
    assert await admit(store, old, new, old) == [STORED, STORED, SUPERSEDED]
    assert await store.card_of(NODE.root.public_key, now=NOW) == new.record
    assert await held(store) == {new.digest}


async def test_of_two_cards_of_one_sequence_the_smaller_digest_stays(store: RecordStore) -> None:
    cards = [card_record(NODE, name="one"), card_record(NODE, name="two")]
    await admit(store, *cards)
    assert await held(store) == {min(digests(cards))}


async def test_an_edited_review_is_refused_and_the_state_unchanged(store: RecordStore) -> None:
    edited = review_of(NODE, reviewer=REVIEWER, comment="Rather not.", at=NOW + SOON)
    assert await admit(store, REVIEW, edited) == [STORED, TicketUsedError]
    assert await held(store) == {REVIEW.digest}


async def test_a_retraction_stands_in_the_place_of_the_review_and_no_review_comes_back(store: RecordStore) -> None:
    retraction = retraction_of(REVIEW, author=REVIEWER)
    again = review_of(NODE, reviewer=REVIEWER, comment="Again.", at=NOW - SOON)
    assert await admit(store, REVIEW, retraction) == [STORED, STORED]
    assert await admit(store, REVIEW, again) == [RecordRetractedError] * 2
    assert await held(store) == {retraction.digest}
    assert await store.get(REVIEW.digest, now=NOW) is None


async def test_a_retraction_may_come_before_what_it_takes_back(store: RecordStore) -> None:
    advisory = advisory_about(NODE.root.public_key, author=REVIEWER)
    assert await admit(store, retraction_of(advisory, author=REVIEWER), advisory) == [STORED, RecordRetractedError]


async def test_what_somebody_else_retracts_stays(store: RecordStore) -> None:
    assert await admit(store, REVIEW, retraction_of(REVIEW, author=key("stranger"))) == [STORED, STORED]
    assert await store.get(REVIEW.digest, now=NOW) == REVIEW.record


async def test_a_quota_keeps_what_ends_last(store: RecordStore) -> None:
    warnings = [advisory_about(NODE.root.public_key, author=REVIEWER, days=days) for days in (5, 2, 9, 7)]
    assert await admit(store, *warnings) == [STORED] * 4
    assert await held(store) == digests([warnings[0], *warnings[2:]])
    assert await admit(store, warnings[1]) == [SUPERSEDED]
    assert await admit(store, advisory_about(NODE.root.public_key, author=key("another"), days=1)) == [STORED]


async def test_an_author_has_a_quota_for_each_type(store: RecordStore) -> None:
    said = [advisory_about(NODE.root.public_key, author=REVIEWER, days=days) for days in (5, 6, 7)]
    said += [review_of(NODE, reviewer=REVIEWER, number=number) for number in range(4)]
    await admit(store, *said)
    assert await held(store) == digests(said)


async def test_a_succession_retires_the_old_root_key(store: RecordStore) -> None:
    await admit(store, card_record(NODE), REVIEW)
    succession = NODE.succession()
    assert await admit(store, succession) == [STORED]
    late = review_of(
        NODE,
        reviewer=REVIEWER,
        number=7,
        at=NOW,
        ticket=NODE.ticket(reviewer=REVIEWER, salt=b"salt 7".ljust(32, b"."), at=NOW),
    )
    assert (
        await admit(store, card_record(NODE, issued=NOW + SOON), NODE.rebuttal(REVIEW, at=NOW + SOON))
        == [KeyRetiredError] * 2
    )
    assert await admit(store, late) == [STORED], "the ticket tells the day alone"
    assert await admit(store, card_record(NODE, issued=NOW - SOON)) == [STORED]
    assert await store.get(succession.digest, now=NOW) == succession.record


async def test_no_answer_of_a_retired_key_is_reviewed_from_the_day_after(store: RecordStore) -> None:
    await admit(store, NODE.succession(at=NOW - 2 * DAY, card=NODE.card(issued=NOW - 3 * DAY)))
    assert await admit(store, REVIEW) == [KeyRetiredError]
    assert REVIEW.digest not in await held(store)


async def test_what_was_signed_too_late_goes_when_the_succession_comes(store: RecordStore) -> None:
    late = card_record(NODE, issued=NOW - SOON)
    earlier = NODE.rebuttal(REVIEW, at=NOW - DAY)
    await admit(store, late, earlier, NODE.rebuttal(advisory_about(NODE.root.public_key, author=REVIEWER)))
    await admit(store, NODE.succession(at=NOW - HOUR, card=NODE.card(issued=NOW - DAY)))
    assert await store.card_of(NODE.root.public_key, now=NOW) is None
    assert earlier.digest in await held(store)
    assert len(await held(store)) == 2


async def test_the_first_succession_stays(store: RecordStore) -> None:
    first, second = NODE.succession(at=NOW), NODE.succession(at=NOW - SOON)
    assert await admit(store, first, second, first) == [STORED, SuccessionInvalidError, KNOWN]


async def test_nothing_is_served_after_its_end_and_forget_drops_it(store: RecordStore) -> None:
    card, warning = card_record(NODE), advisory_about(NODE.root.public_key, author=REVIEWER, days=1)
    await admit(store, card, warning, REVIEW)
    later = NOW + 30 * DAY
    assert [await store.get(record.digest, now=later) for record in (card, warning)] == [None, None]
    assert await store.card_of(NODE.root.public_key, now=later) is None
    assert {digest for _, digest in await store.taken_in(after=0, limit=9, now=later)} == {REVIEW.digest}
    entries = await store.about(RecordQuery(subject=NODE.root.public_key), before=None, limit=9, now=later)
    assert [entry.record for entry in entries] == [REVIEW.record]
    assert await store.forget(now=later) == 2
    assert await store.forget(now=later) == 0
    assert await held(store) == {REVIEW.digest}, "the row of the card keeps earlier ones out, and is none by any clock"


async def test_a_card_that_has_ended_keeps_earlier_ones_out(store: RecordStore) -> None:
    brief = card_record(NODE, issued=NOW - HOUR, expire_time=NOW + HOUR)
    await admit(store, brief)
    later = NOW + 2 * HOUR
    await store.forget(now=later)
    (outcome,) = await store.admit([placed(card_record(NODE, issued=NOW - DAY))], now=later)
    assert outcome is SUPERSEDED
    (again,) = await store.admit([placed(brief)], now=later)
    assert again is SUPERSEDED


async def test_a_card_that_was_dropped_while_the_clock_was_fast_is_taken_in_again(store: RecordStore) -> None:
    card, earlier = card_record(NODE, issued=NOW - HOUR), card_record(NODE, issued=NOW - DAY)
    await admit(store, card)
    assert await store.forget(now=NOW + 30 * DAY) == 1
    assert await store.get(card.digest, now=NOW) is None
    assert await store.card_of(NODE.root.public_key, now=NOW) is None
    assert await store.unknown([card.digest]) == (card.digest,)
    assert await admit(store, earlier, card, card) == [SUPERSEDED, STORED, KNOWN]
    assert await store.get(card.digest, now=NOW) == card.record
    assert await held(store) == {card.digest}
    found = await store.fitting(NodeQuery(), arc=Arc(), limit=9, now=NOW)
    assert [record.digest for _, record in found.cards] == [card.digest]


async def test_records_are_listed_by_subject_author_and_type_the_latest_first(store: RecordStore) -> None:
    about_other = review_of(OTHER, reviewer=REVIEWER, number=1)
    rebuttal = NODE.rebuttal(REVIEW)
    await admit(store, card_record(NODE), REVIEW, about_other, rebuttal, card_record(OTHER))

    async def listed(**asked: object) -> list[Digest]:
        query = RecordQuery(**asked)  # type: ignore[arg-type]
        entries = await store.about(query, before=None, limit=9, now=NOW)
        return [entry.record.digest for entry in entries]

    node, reviewer = NODE.root.public_key, REVIEWER.public_key
    assert await listed(subject=node) == [rebuttal.digest, REVIEW.digest, card_record(NODE).digest]
    assert await listed(author=reviewer) == [about_other.digest, REVIEW.digest]
    assert await listed(subject=node, author=reviewer) == [REVIEW.digest]
    assert await listed(subject=node, types=(RecordType.REBUTTAL, RecordType.RETRACTION)) == [rebuttal.digest]


async def test_a_list_is_read_on_behind_a_number(store: RecordStore) -> None:
    said = [review_of(NODE, reviewer=REVIEWER, number=number) for number in range(4)]
    await admit(store, *said)
    query = RecordQuery(author=REVIEWER.public_key)
    first = await store.about(query, before=None, limit=3, now=NOW)
    rest = await store.about(query, before=first[-1].serial, limit=3, now=NOW)
    assert [entry.record.digest for entry in (*first, *rest)] == [record.digest for record in reversed(said)]


async def test_the_feed_is_in_the_order_of_arrival_and_what_is_replaced_leaves_it(store: RecordStore) -> None:
    old, new = card_record(NODE, issued=NOW - DAY), card_record(NODE)
    await admit(store, old, REVIEW, new)
    feed = await store.taken_in(after=0, limit=9, now=NOW)
    assert [digest for _, digest in feed] == [REVIEW.digest, new.digest]
    assert await store.taken_in(after=feed[0][0], limit=9, now=NOW) == feed[1:]
    assert await store.taken_in(after=feed[1][0], limit=9, now=NOW) == ()


async def test_many_are_admitted_at_once_each_by_itself(store: RecordStore) -> None:
    edited = review_of(NODE, reviewer=REVIEWER, comment="Changed.", at=NOW + SOON)
    outcomes = await store.admit([placed(one) for one in (REVIEW, edited, card_record(NODE), REVIEW)], now=NOW)
    assert [type(one) if isinstance(one, RefusedError) else one for one in outcomes] == [
        STORED,
        TicketUsedError,
        STORED,
        KNOWN,
    ]


async def test_digests_that_are_not_there_are_told(store: RecordStore) -> None:
    await admit(store, REVIEW)
    others = tuple(Digest(number.to_bytes(32, "big")) for number in range(1200))
    assert await store.unknown((*others, REVIEW.digest)) == others
    assert await store.unknown(()) == ()


async def test_a_cursor_is_noted_for_each_registry(store: RecordStore) -> None:
    assert await store.cursor_of("https://one.example:7341") == b""
    await store.note_cursor("https://one.example:7341", b"first")
    await store.note_cursor("https://one.example:7341", b"second")
    await store.note_cursor("https://two.example:7341", b"other")
    assert await store.cursor_of("https://one.example:7341") == b"second"


async def test_all_of_it_outlives_the_process(make_database: MakeDatabase) -> None:
    first = SqlRecordStore(make_database())
    await first.open()
    await admit(first, REVIEW)
    identity = first.identity
    await first.close()
    second = SqlRecordStore(make_database())
    await second.open()
    assert second.identity == identity
    assert await held(second) == {REVIEW.digest}
    await second.close()


async def test_a_store_that_is_not_open_says_so(make_database: MakeDatabase) -> None:
    store = SqlRecordStore(make_database())
    for call in (store.get(REVIEW.digest, now=NOW), store.forget(now=NOW)):
        with pytest.raises(StoreUnavailableError):
            await call
    await store.open()
    with pytest.raises(UsageError, match="open already"):
        await store.open()
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailableError):
        await store.get(REVIEW.digest, now=NOW)


async def test_two_processes_that_open_an_empty_database_at_once_make_one_store(share_database: MakeDatabase) -> None:
    stores = [SqlRecordStore(share_database()) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    assert len({store.identity for store in stores}) == 1
    for store in stores:
        await store.close()


async def test_a_feed_that_is_read_while_several_write_misses_nothing(
    share_database: MakeDatabase, siblings: tuple[SqlRecordStore, SqlRecordStore]
) -> None:
    """The order of the numbers is that of the commits, whoever writes (REG-SYNC-001)."""
    said = [advisory_about(NODE.root.public_key, author=key(f"author {number}")) for number in range(60)]
    seen: list[tuple[int, Digest]] = [(0, Digest(b""))]
    reader = SqlRecordStore(share_database())
    await reader.open()

    async def follow(writing: asyncio.Future[Any]) -> None:
        done = False
        while not done:
            done = writing.done()  # before the last look, which then sees all
            while page := await reader.taken_in(after=seen[-1][0], limit=3, now=NOW):
                seen.extend(page)

    writing = asyncio.gather(
        *(siblings[number % 2].admit([placed(record)], now=NOW) for number, record in enumerate(said))
    )
    await follow(writing)
    await reader.close()
    assert {digest for _, digest in seen[1:]} == digests(said)


async def test_of_two_processes_that_fill_one_slot_at_once_one_wins(
    siblings: tuple[SqlRecordStore, SqlRecordStore],
) -> None:
    store, sibling = siblings
    cards = [card_record(NODE, issued=NOW - HOUR + number * SOON) for number in range(20)]
    await asyncio.gather(*(siblings[number % 2].admit([placed(card)], now=NOW) for number, card in enumerate(cards)))
    assert await held(store) == {cards[-1].digest}
    assert await sibling.card_of(NODE.root.public_key, now=NOW) == cards[-1].record


async def test_terms_of_any_length_and_any_character_are_kept(store: RecordStore) -> None:
    odd = nodes.Skill(id="odd", description="a\0b " + "w" * 900, input_media_types=("m" * 5000, "x\0y"))
    assert await admit(store, card_record(NODE, skills=[odd])) == [STORED]


async def test_what_is_held_is_counted_until_it_ends(store: RecordStore) -> None:
    assert await store.count(now=NOW) == 0
    await admit(store, REVIEW, advisory_about(NODE.root.public_key, author=REVIEWER, days=1), card_record(NODE))
    assert await store.count(now=NOW) == 3
    assert await store.count(now=NOW + 2 * DAY) == 2
    await admit(store, retraction_of(REVIEW, author=REVIEWER))
    assert await store.count(now=NOW) == 3


async def test_a_full_store_takes_in_what_takes_the_place_of_something_alone(store: RecordStore) -> None:
    capacity = Capacity(max_records=4)
    warnings = [advisory_about(NODE.root.public_key, author=REVIEWER, days=days) for days in (5, 6, 7)]
    said = [*warnings, REVIEW, card_record(NODE), retraction_of(REVIEW, author=REVIEWER)]
    said.append(advisory_about(NODE.root.public_key, author=REVIEWER, days=9))
    outcomes = await store.admit([placed(record) for record in said], now=NOW, capacity=capacity)
    assert [type(outcome) if isinstance(outcome, RefusedError) else outcome for outcome in outcomes] == [
        *(STORED, STORED, STORED, STORED),
        LimitExceededError,
        *(STORED, STORED),
    ]
    assert capacity.held == await store.count(now=NOW) == 4
    assert await held(store) == digests([*warnings[1:], *said[-2:]]), "the last one took the place of the first"


async def test_what_has_ended_makes_no_room_for_its_slot_in_a_full_store(store: RecordStore) -> None:
    later = NOW + 30 * DAY
    await admit(store, card_record(NODE), advisory_about(NODE.root.public_key, author=REVIEWER, days=1))
    full = Capacity(max_records=1, held=1)
    again = card_record(NODE, issued=later - HOUR)
    (outcome,) = await store.admit([placed(again, now=later)], now=later, capacity=full)
    assert isinstance(outcome, LimitExceededError)
    assert await store.count(now=later) == 0
    roomy = Capacity(max_records=1)
    (outcome,) = await store.admit([placed(again, now=later)], now=later, capacity=roomy)
    assert outcome is STORED
    assert roomy.held == await store.count(now=later) == 1
    assert await store.forget(now=later) == 1, "the warning; the row of the card is taken again"


async def test_what_has_ended_makes_no_room_in_a_quota_of_a_full_store(store: RecordStore) -> None:
    warnings = [advisory_about(NODE.root.public_key, author=REVIEWER, days=days) for days in (1, 2, 3)]
    await admit(store, *warnings)
    later = NOW + 5 * DAY
    another = advisory_about(NODE.root.public_key, author=REVIEWER, days=9)
    (outcome,) = await store.admit([placed(another, now=later)], now=later, capacity=Capacity(max_records=1, held=1))
    assert isinstance(outcome, LimitExceededError)
    assert await store.count(now=later) == 0
