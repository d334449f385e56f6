import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from consilience._wire.envelopes import open_envelope
from consilience._wire.errors import error_from_rpc
from consilience.errors import CallExpiredError, EnvelopeMalformedError, StaleCardError, UsageError
from consilience.identity import KeyPair, next_root_digest
from consilience.nodes import (
    DataClass,
    DataPolicy,
    KeySuccession,
    Limits,
    MeasuredQuality,
    Model,
    Profile,
    Skill,
    TlsMode,
    check_card,
    check_succession,
)
from consilience.server import IncomingAsk, Node, RunningNode, succession, succession_record
from consilience.server.keys import kept_record
from consilience.server.store import MemoryStore
from consilience.server.store.contract import StoredCard
from consilience.server.store.sqlite import SqliteStore
from consilience.units import PublicKey, card_sequence, utc_now
from sdk.tests.server.callers import calling, fetch_card
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.specimens import Counting, echo, serve_test_skills

ANYWHERE = "127.0.0.1:0"


async def test_a_card_says_what_was_written_down(key: KeyPair) -> None:
    quality = MeasuredQuality(
        dataset_name="units-100", dataset_digest=bytes(range(32)), sample_count=100, score_milli=990
    )
    skill = Skill(
        id="units.convert",
        description="Converts units.",
        domains=("units",),
        languages=("en", "de-CH"),
        input_media_types=("text/plain",),
        output_media_type="text/plain",
        input_schema="{}",
        output_schema="{}",
        accepts_answer_schema=True,
        gives_confidence=True,
        model_ids=("small",),
        limits=Limits(max_turns=3),
        max_data_class=DataClass.PUBLIC,
        measured_quality=(quality,),
        knowledge_time=utc_now().replace(microsecond=0),
    )
    models = (Model(id="small", family="SmolLM2", parameter_count=135_000_000, weights_digest=bytes(32)),)
    policy = DataPolicy(max_data_class=DataClass.INTERNAL, jurisdictions=("CH",))
    next_root = KeyPair.generate().public_key
    node = Node("units", description="About units.", key=key, models=models, data_policy=policy, next_root=next_root)
    fields = {name: getattr(skill, name) for name in Skill.__slots__ if name != "tariff_ids"}  # no node is paid yet
    node.skill(**fields)(echo)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        card = await caller.card()
    value = card.value
    check_card(card, now=utc_now())
    assert value == running.card.value
    assert (value.name, value.description, value.node_id) == ("units", "About units.", key.public_key)
    assert value.skills == (skill,)
    assert value.models == models
    assert value.data_policy == policy
    assert value.next_root_digest == next_root_digest(next_root)
    assert value.profiles == (Profile.CORE,)
    assert [signing.public_key for signing in value.signing_keys] == [key.public_key]
    (endpoint,) = value.endpoints
    assert (endpoint.uri, endpoint.tls_mode) == (f"http://127.0.0.1:{running.port}", TlsMode.LOOPBACK_PLAIN)


async def test_a_card_is_issued_again_at_half_its_lifetime_and_the_old_one_is_honoured_to_its_end(
    key: KeyPair, clock: ManualClock, counting: Counting
) -> None:
    node = Node("test", key=key, clock=clock, card_lifetime=timedelta(hours=2))
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        first = await caller.card()
        clock.advance(timedelta(minutes=59))
        assert await caller.card() == first
        clock.advance(timedelta(minutes=1))
        second = await caller.card()
        assert second.value.sequence > first.value.sequence
        assert second.value.expire_time == clock() + timedelta(hours=2)
        clock.advance(timedelta(minutes=59))
        await caller.ask("on the first card")
        clock.advance(timedelta(minutes=2))
        with pytest.raises(StaleCardError):
            await caller.ask("on the first card")
        caller.card_digest = second.digest
        await caller.ask("on the second card")


async def test_upkeep_issues_the_card_that_is_due(key: KeyPair, clock: ManualClock, counting: Counting) -> None:
    node = Node("test", key=key, clock=clock, card_lifetime=timedelta(hours=2))
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running:
        first = running.card
        clock.advance(timedelta(hours=1))
        await running.tend()
        assert running.card.value.sequence == card_sequence(clock())
        assert running.card.value.sequence > first.value.sequence


async def test_the_sequence_never_goes_back_with_the_clock(
    key: KeyPair, clock: ManualClock, counting: Counting
) -> None:
    node = Node("test", key=key, clock=clock)
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running:
        first = running.card
        clock.advance(-timedelta(minutes=10))
        await running.tend()
        assert running.card.value.sequence == first.value.sequence + 1


async def test_a_node_without_a_database_refuses_the_cards_of_its_former_life(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        old = (await caller.card()).digest
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        assert caller.card_digest != old
        with pytest.raises(StaleCardError):
            await caller.ask(card_digest=old)
        await caller.ask()


async def test_a_node_serves_the_successions_of_its_former_keys(key: KeyPair) -> None:
    old = KeyPair.generate()
    before = Node("test", key=old, next_root=key.public_key)
    before.skill("echo")(echo)
    async with before.serving(ANYWHERE) as running:
        old_card = running.card
    now = utc_now()
    handover = succession_record(succession(old=old, new=key, now=now), card=old_card, now=now)
    node = Node("test", key=key, successions=[handover])
    node.skill("echo")(echo)
    async with node.serving(ANYWHERE) as running, aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        card, successions = await fetch_card(channel)
    (received,) = (open_envelope(envelope, KeySuccession) for envelope in successions)
    assert check_succession(received, old_card=old_card) == card.value.node_id == key.public_key


@pytest.mark.parametrize("remembers", ["a database", "a file of its newest card"])
@pytest.mark.parametrize("another", [PublicKey(bytes(32)), None], ids=["another key", "none"])
async def test_a_node_commits_to_one_next_root_key_for_good(
    tmp_path: Path, key: KeyPair, remembers: str, another: PublicKey | None
) -> None:
    """Nobody who has seen a card that commits would use one that says otherwise (NODE-KEY-004)."""

    def committing_to(next_root: PublicKey | None) -> Node:
        if remembers == "a database":
            node = Node("test", key=key, store=SqliteStore(tmp_path / "node.sqlite"), next_root=next_root)
        else:
            node = Node("test", key=key, kept_card=tmp_path / "card.bin", next_root=next_root)
        node.skill("echo")(echo)
        return node

    chosen = KeyPair.generate().public_key
    for next_root in (None, chosen, chosen):
        async with committing_to(next_root).serving(ANYWHERE) as running:
            assert running.card.value.next_root_digest == (next_root_digest(next_root) if next_root else b"")
    with pytest.raises(UsageError, match="commit to another next root key"):
        await committing_to(another).serving(ANYWHERE).start()
    async with committing_to(chosen).serving(ANYWHERE):
        pass


async def test_an_operator_is_told_when_cards_lie_ahead_because_the_clock_was_fast(
    key: KeyPair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    right = clock.now
    for moment in (right + timedelta(hours=60), right):
        clock.now = moment
        assert not caplog.messages
        node = Node("test", key=key, store=SqliteStore(tmp_path / "node.sqlite"), clock=clock)
        node.skill("echo")(echo)
        with caplog.at_level("WARNING"):
            async with node.serving(ANYWHERE):
                pass
    told = [message for message in caplog.messages if "nobody uses a card" in message]
    assert len(told) == 1
    assert f"{right + timedelta(hours=60):%F %T} UTC" in told[0]


async def test_a_card_that_is_too_large_is_told_to_its_developer(key: KeyPair) -> None:
    node = Node("test", key=key)
    for number in range(6):
        node.skill(f"skill-{number}", input_schema="x" * 16_000)(echo)
    with pytest.raises(UsageError, match="bytes"):
        await node.serving(ANYWHERE).start()


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x" * 129},
        {"description": "x" * 2049},
        {"models": [Model(id="")]},
        {"models": [Model(id="a"), Model(id="a")]},
        {"models": [Model(id="a", weights_digest=b"short")]},
        {"limits": Limits(max_message_bytes=4 * 1024 * 1024 + 1)},
        {"data_policy": DataPolicy(max_data_class=DataClass.UNSPECIFIED)},
        {"data_policy": DataPolicy(max_data_class=DataClass.PUBLIC, jurisdictions=("Switzerland",))},
    ],
)
async def test_what_a_card_may_not_say_is_told_before_it_is_issued(key: KeyPair, fields: dict[str, Any]) -> None:
    node = Node(**{"name": "test", "key": key, **fields})
    node.skill("echo")(echo)
    with pytest.raises(UsageError):
        node.serving(ANYWHERE)


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "x" * 1025},
        {"domains": ["Not Lower"]},
        {"languages": ["english language"]},
        {"input_media_types": ["text/plain"] * 33},
        {"output_schema": "x" * 16_385},
        {"measured_quality": [MeasuredQuality(dataset_name="d", dataset_digest=b"", sample_count=1, score_milli=1)]},
    ],
)
def test_what_a_skill_may_not_say_is_told_before_it_is_served(key: KeyPair, fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Node("test", key=key).skill("echo", **fields)(echo)


async def test_a_request_for_the_card_that_does_not_parse_is_refused(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        call: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/consilience.v1.NodeService/GetNodeCard")
        with pytest.raises(aio.AioRpcError) as refusal:
            await call(b"\xff\xff\xff")
        assert isinstance(error_from_rpc(refusal.value), EnvelopeMalformedError)
        assert await call(b"\xc2\x3e\x05newer")


async def test_a_node_without_a_skill_cannot_serve(key: KeyPair) -> None:
    with pytest.raises(UsageError, match="skill"):
        Node("test", key=key).serving(ANYWHERE)


async def test_a_call_made_while_the_clock_of_the_node_ran_ahead_is_judged_by_the_node(
    key: KeyPair, clock: ManualClock
) -> None:
    node = Node("test", key=key, clock=clock)

    @node.skill("echo")
    async def answer(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "fine"

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        clock.advance(timedelta(minutes=2, seconds=25))
        await caller.ask()
        clock.advance(timedelta(seconds=10))
        with pytest.raises(CallExpiredError):
            await caller.ask()


class SlowStore(MemoryStore):
    """A store that takes its time with cards, and the more of it the earlier a card is."""

    cards = 0

    async def remember_card(self, card: StoredCard) -> None:
        self.cards += 1
        await asyncio.sleep(0.05 / self.cards)
        await super().remember_card(card)


async def test_however_many_fetch_the_card_that_is_due_one_is_issued(key: KeyPair, clock: ManualClock) -> None:
    store = SlowStore()
    node = Node("test", key=key, clock=clock, card_lifetime=timedelta(hours=2), store=store)
    serve_test_skills(node, Counting())
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        clock.advance(timedelta(hours=1))
        fetched = await asyncio.gather(*(caller.card() for _ in range(10)))
        assert store.cards == 2
        assert {card.digest for card in fetched} == {running.card.digest}


async def test_replicas_give_out_one_card_the_newest(key: KeyPair, clock: ManualClock, tmp_path: Path) -> None:
    def replica(name: str) -> Node:
        store = f"sqlite:///{tmp_path / 'answers.db'}"
        node = Node(
            "test",
            key=key,
            clock=clock,
            card_lifetime=timedelta(hours=2),
            store=store,
            replica=name,
            kept_card=tmp_path / f"{name}.card",
        )
        serve_test_skills(node, Counting())
        return node

    async with replica("one").serving(ANYWHERE) as one, calling(one, clock=clock) as at_one:
        before = await at_one.card()
        clock.advance(timedelta(minutes=30))
        async with replica("two").serving(ANYWHERE) as two, calling(two, clock=clock) as at_two:
            newest = await at_two.card()
            assert newest.value.sequence > before.value.sequence
            assert await at_one.card() == newest == one.card
            clock.advance(timedelta(minutes=40))  # the first card would be due
            for running in (one, two):
                await running.tend()
            assert await at_one.card() == await at_two.card() == newest
            await at_one.ask("on the card of the sibling")
            clock.advance(timedelta(minutes=20))
            await one.tend()
            renewed = await at_one.card()
            assert renewed.value.sequence > newest.value.sequence
            await two.tend()
            assert two.card == await at_two.card() == renewed
        assert all(kept_record(tmp_path / f"{name}.card").object == renewed for name in ("one", "two"))


async def test_a_card_of_the_node_that_had_the_store_before_is_not_given_out(
    key: KeyPair, clock: ManualClock, tmp_path: Path
) -> None:
    def serving(key: KeyPair, replica: str) -> RunningNode:
        store = f"sqlite:///{tmp_path / 'answers.db'}"
        node = Node("test", key=key, clock=clock, store=store, replica=replica)
        node.skill("echo")(echo)
        return node.serving(ANYWHERE)

    async with serving(key, "one") as one, serving(KeyPair.generate(), "two") as two, calling(one) as caller:
        assert two.card.value.sequence > one.card.value.sequence
        await one.tend()
        assert (await caller.card()).value.node_id == key.public_key


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=30, hours=-1, microseconds=1)])
def test_a_card_that_outlives_the_key_of_an_answer_cannot_be_asked_for(key: KeyPair, lifetime: timedelta) -> None:
    limits = Limits(max_run_time=timedelta(hours=1))
    with pytest.raises(UsageError, match="card_lifetime"):
        Node("test", key=key, limits=limits, card_lifetime=lifetime)
    Node("test", key=key, limits=limits, card_lifetime=timedelta(days=30, hours=-1))
