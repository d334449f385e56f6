"""A registry on a socket: what it takes in, what it serves, and what it refuses by which name."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from consilience import nodes
from consilience._wire import registries
from consilience.errors import (
    CursorInvalidError,
    FieldInvalidError,
    KeyRetiredError,
    LimitExceeded,
    LimitExceededError,
    PayloadTypeWrongError,
    ProtocolError,
    RecordExpiredError,
    RecordNotYetValidError,
    RecordUnknownError,
    RefusedError,
    SignatureInvalidError,
    SigningKeyUnknownError,
    SuccessionInvalidError,
    TicketInvalidError,
    UsageError,
)
from consilience.identity import KeyPair
from consilience.nodes import Profile
from consilience.reviews import NodeQuery, OpenRecord, PublishOutcome, Record, RecordQuery, RecordType
from consilience.server import Node, Registry, RunningNode
from consilience.server.registry import finding
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
    retraction_of,
    review_of,
)
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.registry.callers import RegistryCaller, calling_registry

ANYWHERE = "127.0.0.1:0"
NODE, OTHER, REVIEWER, STRANGER = TestNode.named("node"), TestNode.named("other"), key("reviewer"), key("stranger")
REVIEW = review_of(NODE, reviewer=REVIEWER)
STORED, KNOWN, SUPERSEDED = PublishOutcome.STORED, PublishOutcome.KNOWN, PublishOutcome.SUPERSEDED


@pytest.fixture
def clock() -> ManualClock:
    made = ManualClock()
    made.now = NOW
    return made


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(store=f"sqlite:////{tmp_path}/records.db", max_records=60, publishes_per_minute=0)


@pytest.fixture
async def running(registry: Registry, clock: ManualClock) -> AsyncIterator[RunningNode]:
    async with serving(registry, clock=clock, name="registry") as served:
        yield served


def serving(registry: Registry, *, clock: ManualClock, name: str) -> RunningNode:
    """Returns a registry with a key of that name, as a context manager that serves."""
    return Node(name, key=key(name), registry=registry, clock=clock).serving(ANYWHERE)


@pytest.fixture
async def caller(running: RunningNode) -> AsyncIterator[RegistryCaller]:
    async with calling_registry(running) as connected:
        yield connected


async def test_a_registry_needs_no_skill_and_says_what_it_is(running: RunningNode, caller: RegistryCaller) -> None:
    card = running.card.value
    assert card.skills == ()
    assert Profile.REGISTRY in card.profiles
    assert (await caller.record(running.card.digest)).object == running.card.envelope


def test_a_node_without_skills_that_is_no_registry_is_none() -> None:
    with pytest.raises(UsageError, match="skills"):
        Node("empty", key=KeyPair.generate()).serving(ANYWHERE)


async def test_a_node_that_is_no_registry_serves_none(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling_registry(running) as caller:
        with pytest.raises(ProtocolError) as caught:
            await caller.record(Digest(bytes(32)))
    assert caught.value.requirement == "NODE-PROF-001"


async def test_a_registry_holds_the_successions_of_its_own_root_key(tmp_path: Path, clock: ManualClock) -> None:
    handed_over = NODE.succession(at=NOW - HOUR, card=NODE.card(issued=NOW - 2 * HOUR))
    own = Registry(store=f"sqlite:////{tmp_path}/own.db")
    node = Node("registry", key=NODE.next_root, successions=[handed_over], registry=own, clock=clock)
    async with node.serving(ANYWHERE) as running, calling_registry(running) as caller:
        assert await caller.record(handed_over.digest) == handed_over.record
        assert (await caller.record(running.card.digest)).object == running.card.envelope


async def test_health_and_reflection_know_the_service(running: RunningNode) -> None:
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=registries.REGISTRY_SERVICE)
        assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        reflected: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        (answer,) = [answer async for answer in reflected.ServerReflectionInfo(asked)]
    assert registries.REGISTRY_SERVICE in [service.name for service in answer.list_services_response.service]


async def test_a_record_comes_back_to_the_byte_with_its_card(caller: RegistryCaller) -> None:
    assert await caller.bring([REVIEW, REVIEW]) == [STORED, KNOWN]
    assert await caller.record(REVIEW.digest) == REVIEW.record
    with pytest.raises(RecordUnknownError):
        await caller.record(Digest(bytes(32)))


async def test_a_card_that_nothing_rests_on_is_not_kept(caller: RegistryCaller) -> None:
    warning = advisory_about(NODE.root.public_key, author=REVIEWER)
    await caller.publish(Record(object=warning.object.envelope, card=NODE.card().envelope))
    assert await caller.record(warning.digest) == warning.record


async def test_a_record_without_its_card_rests_on_the_one_that_the_registry_has(caller: RegistryCaller) -> None:
    bare = Record(object=REVIEW.object.envelope)
    with pytest.raises(SigningKeyUnknownError):
        await caller.publish(bare)
    await caller.bring([card_record(NODE)])
    assert await caller.publish(bare) is STORED
    assert (await caller.record(REVIEW.digest)).card == NODE.card().envelope


async def test_a_card_that_is_another_nodes_is_not_replaced_by_the_own_one(caller: RegistryCaller) -> None:
    await caller.bring([card_record(NODE)])
    with pytest.raises(SigningKeyUnknownError):
        await caller.publish(Record(object=REVIEW.object.envelope, card=OTHER.card().envelope))


async def test_a_succession_has_to_agree_with_the_card_that_the_registry_has(caller: RegistryCaller) -> None:
    newer = card_record(NODE, issued=NOW - timedelta(minutes=1), next_root_digest=b"")
    await caller.bring([newer])
    with pytest.raises(SuccessionInvalidError):
        await caller.publish(NODE.succession().record)
    assert await caller.bring([card_record(OTHER), OTHER.succession()]) == [STORED, STORED]
    with pytest.raises(KeyRetiredError):
        await caller.publish(card_record(OTHER, issued=NOW + timedelta(seconds=1)).record)


def _forged(record: OpenRecord) -> Record:
    return Record(object=replace(record.object.envelope, signature=bytes(64)), card=record.record.card)


_FIRST_FAILING: list[tuple[str, Record, type[RefusedError]]] = [
    ("type", Record(object=NODE.ticket(reviewer=REVIEWER, salt=bytes(32)).envelope), PayloadTypeWrongError),
    ("signature", _forged(REVIEW), SignatureInvalidError),
    ("fields", advisory_about(bytes(32), author=REVIEWER, at=NOW + DAY, summary="").record, FieldInvalidError),
    ("from the future", card_record(NODE, issued=NOW + HOUR).record, RecordNotYetValidError),
    ("ended", advisory_about(bytes(32), author=REVIEWER, at=NOW - 9 * DAY, days=1).record, RecordExpiredError),
    ("ticket", review_of(NODE, reviewer=REVIEWER, ticket_salt=bytes(32), card=OTHER.card()).record, TicketInvalidError),
    ("key", review_of(NODE, reviewer=REVIEWER, card=OTHER.card()).record, SigningKeyUnknownError),
    ("succession", NODE.succession(to=STRANGER).record, SuccessionInvalidError),
]


@pytest.mark.parametrize(("what", "record", "refusal"), _FIRST_FAILING, ids=[case[0] for case in _FIRST_FAILING])
async def test_the_first_check_that_fails_is_reported_and_changes_nothing(
    caller: RegistryCaller, what: str, record: Record, refusal: type[RefusedError]
) -> None:
    before = await caller.feed()
    with pytest.raises(refusal):
        await caller.publish(record)
    assert await caller.feed() == before, what


async def test_what_is_retracted_is_listed_as_its_retraction(caller: RegistryCaller) -> None:
    retraction = retraction_of(REVIEW, author=REVIEWER)
    await caller.bring([REVIEW, retraction])
    assert await caller.records(RecordQuery(subject=NODE.root.public_key)) == ((retraction.record,), b"")


async def test_the_pages_of_a_list_hold_each_record_once_though_others_arrive(caller: RegistryCaller) -> None:
    there = [review_of(NODE, reviewer=key(f"reviewer {number}"), number=number) for number in range(40)]
    await caller.bring(there)
    query, seen = RecordQuery(subject=NODE.root.public_key, types=(RecordType.REVIEW,), page_size=7), list[Digest]()
    page, token = await caller.records(query)
    while True:
        seen += [record.digest for record in page]
        await caller.bring([review_of(NODE, reviewer=key(f"late {len(seen)}"), number=len(seen))])
        if not token:
            break
        page, token = await caller.records(replace(query, page_token=token, page_size=9))
    assert seen == [record.digest for record in reversed(there)]


async def test_a_page_has_4_mib_at_most(tmp_path: Path, clock: ManualClock) -> None:
    roomy = Registry(store=f"sqlite:////{tmp_path}/large.db", publishes_per_minute=0)
    node = Node("registry", key=key("registry"), registry=roomy, clock=clock)
    skills = [nodes.Skill(id=f"s{number}", description="d" * 1000) for number in range(60)]
    large = [card_record(TestNode.named(f"node {number}"), skills=skills) for number in range(80)]
    async with node.serving(ANYWHERE) as running, calling_registry(running) as caller:
        await caller.bring(large)
        query, found = NodeQuery(page_size=1000), list[Digest]()
        for _ in range(len(large)):
            response = await caller.call("FindNodes", registries.encode_query(query))
            assert len(response) <= 4 * 1024 * 1024
            page, token = registries.decode_cards(response)
            found += [card.digest for card in page]
            if not token:
                break
            query = replace(query, page_token=token)
    assert len(found) == len(large)
    assert set(found) == digests(large)


async def test_the_pages_of_a_search_go_once_round_the_ring_from_anywhere(caller: RegistryCaller) -> None:
    there = [card_record(TestNode.named(f"node {number}")) for number in range(20)]
    await caller.bring(there)
    starts = set()
    for _ in range(16):
        query, found = NodeQuery(domain="units", page_size=3), list[bytes]()
        page, token = await caller.nodes(query)
        while True:
            found += [card.value.node_id for card in page]
            if not token:
                break
            page, token = await caller.nodes(replace(query, page_token=token))
        assert len(found) == len(there)
        first = found.index(min(found))
        assert found[first:] + found[:first] == sorted(record.object.envelope.public_key for record in there)
        starts.add(found[0])
    assert len(starts) > 1


async def test_a_page_may_be_empty_and_lead_on_so_that_no_call_takes_long(
    caller: RegistryCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "STEPS", 4)
    apart = [nodes.Skill(id="a", domains=("units",)), nodes.Skill(id="b", domains=("law",))]
    together = [nodes.Skill(id="c", domains=("units", "law"))]
    cards = [card_record(TestNode.named(f"node {number}"), skills=apart) for number in range(20)]
    fits = card_record(TestNode.named("fits"), skills=together)
    await caller.bring([*cards, fits])
    # All have both things wanted, and one has them in one skill.
    query, found, sizes = NodeQuery(domain="units", text="law"), list[bytes](), list[int]()
    page, token = await caller.nodes(query)
    while token:
        sizes.append(len(page))
        found += [card.digest for card in page]
        page, token = await caller.nodes(replace(query, page_token=token))
    assert [*found, *(card.digest for card in page)] == [fits.digest]
    assert len(sizes) >= 4
    assert 0 in sizes


async def test_the_feed_goes_on_behind_a_cursor_also_after_a_restart(registry: Registry, clock: ManualClock) -> None:
    async with serving(registry, clock=clock, name="before") as running, calling_registry(running) as caller:
        ((first, cursor),) = await caller.feed()
        assert len(first) == 1
        await caller.bring([REVIEW])
        assert [taken for taken, _ in await caller.feed(cursor)] == [(REVIEW.digest,)]
    async with serving(registry, clock=clock, name="after") as running, calling_registry(running) as caller:
        ((taken, end),) = await caller.feed(cursor)
        assert taken == (REVIEW.digest, running.card.digest)
        assert await caller.feed(end) == []


async def test_a_token_or_cursor_of_another_registry_or_question_is_refused(
    tmp_path: Path, clock: ManualClock, caller: RegistryCaller
) -> None:
    await caller.bring([card_record(NODE), card_record(OTHER)])
    _, token = await caller.nodes(NodeQuery(page_size=1))
    ((_, cursor),) = await caller.feed()
    assert token
    for query in (
        NodeQuery(page_token=os.urandom(3)),
        NodeQuery(page_token=token, skill_id="cook"),
        NodeQuery(page_token=cursor),
        NodeQuery(page_token=token[:-1] + bytes([token[-1] ^ 1])),
    ):
        with pytest.raises(CursorInvalidError):
            await caller.nodes(query)
    with pytest.raises(CursorInvalidError):
        await caller.records(RecordQuery(author=NODE.root.public_key, page_token=token))
    with pytest.raises(CursorInvalidError):
        await caller.feed(token)
    strange = Registry(store=f"sqlite:////{tmp_path}/strange.db")
    node = Node("strange", key=STRANGER, registry=strange, clock=clock)
    async with node.serving(ANYWHERE) as running, calling_registry(running) as other:
        with pytest.raises(CursorInvalidError):
            await other.feed(cursor)


async def test_a_query_that_breaks_a_rule_is_refused_by_its_field(caller: RegistryCaller) -> None:
    with pytest.raises(FieldInvalidError, match="subject or an author"):
        await caller.records(RecordQuery())
    with pytest.raises(FieldInvalidError, match="page_size"):
        await caller.nodes(NodeQuery(page_size=-1))


async def test_what_has_ended_is_served_no_more_and_then_dropped(
    running: RunningNode, clock: ManualClock, caller: RegistryCaller
) -> None:
    warning = advisory_about(NODE.root.public_key, author=REVIEWER, days=1)
    await caller.bring([warning, card_record(NODE)])
    clock.now += 8 * DAY
    with pytest.raises(RecordUnknownError):
        await caller.record(warning.digest)
    assert (await caller.nodes(NodeQuery()))[0] == ()
    await running.tend()
    assert await caller.bring([card_record(NODE, issued=clock.now - 2 * DAY)]) == [STORED]
    assert await caller.bring([card_record(NODE, issued=clock.now - 3 * DAY)]) == [SUPERSEDED]


async def test_a_full_registry_takes_in_what_takes_the_place_of_something_alone(caller: RegistryCaller) -> None:
    warnings = [advisory_about(NODE.root.public_key, author=REVIEWER, days=days) for days in range(1, 60)]
    assert set(await caller.bring(warnings)) == {STORED}, "with the registry's own card these are 60"
    with pytest.raises(LimitExceededError) as caught:
        await caller.publish(card_record(NODE).record)
    assert caught.value.detail == LimitExceeded(limit="max_records", maximum=60, requested=61)
    assert await caller.bring([warnings[0], retraction_of(warnings[0], author=REVIEWER)]) == [KNOWN, STORED]


async def test_what_ends_makes_room(running: RunningNode, clock: ManualClock, caller: RegistryCaller) -> None:
    await caller.bring(advisory_about(NODE.root.public_key, author=REVIEWER, days=days) for days in range(1, 60))
    clock.now += 5 * DAY
    await running.tend()
    assert await caller.bring([card_record(NODE, issued=clock.now)]) == [STORED]


async def test_an_address_publishes_so_often_a_minute_and_reads_on(tmp_path: Path, clock: ManualClock) -> None:
    bounded = Registry(store=f"sqlite:////{tmp_path}/bounded.db", publishes_per_minute=3)
    node = Node("registry", key=key("registry"), registry=bounded, clock=clock)
    async with (
        node.serving(ANYWHERE) as running,
        calling_registry(running) as caller,
        calling_registry(running) as twin,
    ):
        await caller.bring([card_record(NODE)] * 2)
        await twin.bring([REVIEW])
        with pytest.raises(LimitExceededError) as caught:
            await twin.publish(REVIEW.record)
        assert caught.value.detail == LimitExceeded(limit="max_publishes_per_minute", maximum=3, requested=4)
        assert caught.value.retry_after == timedelta(minutes=1)
        assert await twin.record(REVIEW.digest) == REVIEW.record
        clock.now += timedelta(minutes=1)
        assert await twin.bring([REVIEW]) == [KNOWN]


@pytest.mark.parametrize(
    "changes",
    [
        {"max_records": 0},
        {"publishes_per_minute": -1},
        {"reads_per_minute": -1},
        {"open_feeds": -1},
        {"follow": ("a", "a")},
        {"follow_interval": -HOUR},
    ],
)
def test_a_registry_that_cannot_be_is_told_when_it_is_written(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Registry(store="sqlite:///records.db", **changes)  # type: ignore[arg-type]


def test_a_node_whose_messages_are_too_small_for_records_is_no_registry() -> None:
    small = Node(
        "small",
        key=KeyPair.generate(),
        limits=nodes.Limits(max_message_bytes=65536),
        registry=Registry(store="sqlite:///never-opened.db"),
    )
    with pytest.raises(UsageError, match="max_message_bytes"):
        small.serving(ANYWHERE)


def test_who_follows_has_to_say_how_others_are_reached() -> None:
    follower = Registry(store="sqlite:///never-opened.db", follow=("127.0.0.1:1",))
    with pytest.raises(UsageError, match="peers"):
        Node("follower", key=KeyPair.generate(), registry=follower).serving(ANYWHERE)
