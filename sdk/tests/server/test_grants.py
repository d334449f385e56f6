"""The check of a script (spec section 7.2): what is no script, and each way in which a grant does not hold."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consilience import envelopes
from consilience._wire.envelopes import from_bytes, seal
from consilience.asks import Ask, Blob, Role, Turn
from consilience.conformance import SCRIPT_MEDIA_TYPE, ConformanceGrant, WaitForGate
from consilience.envelopes import Envelope
from consilience.errors import (
    FieldInvalidError,
    FieldViolations,
    GrantInvalidError,
    MediaTypeUnsupportedError,
    UsageError,
)
from consilience.identity import KeyPair
from consilience.server import Node
from consilience.server.grants import grant_tester
from consilience.units import PublicKey, utc_now
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.examiners import Examiner, examining, text

STRANGER = KeyPair(b"s" * 32)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def tested(key: KeyPair) -> Node:
    return Node("tested", key=key, conformance=True)


def granted(root: KeyPair, caller: PublicKey, *, signer: KeyPair | None = None, **changes: Any) -> Envelope:
    now = utc_now()
    grant = ConformanceGrant(
        node_id=root.public_key, testers=(caller,), issue_time=now, expire_time=now + timedelta(minutes=30)
    )
    return seal(replace(grant, **changes), signer=signer or root).envelope


def _altered(grant: Envelope) -> Envelope:
    return replace(grant, signature=grant.signature[:-1] + bytes([grant.signature[-1] ^ 1]))


def _of_another_type(grant: Envelope, root: KeyPair) -> Envelope:
    return envelopes.seal(grant.payload, payload_type="consilience.v1.NodeCard", signer=root)


REFUSED: dict[str, Callable[[KeyPair, PublicKey], Envelope]] = {
    "for another node": lambda root, caller: granted(root, caller, node_id=STRANGER.public_key, signer=STRANGER),
    "for another node, signed by this one": lambda root, caller: granted(root, caller, node_id=STRANGER.public_key),
    "for another tester": lambda root, _: granted(root, STRANGER.public_key),
    "for nobody": lambda root, caller: granted(root, caller, testers=()),
    "for too many": lambda root, caller: granted(root, caller, testers=(caller,) * 65),
    "for half a key": lambda root, caller: granted(root, caller, testers=(caller, PublicKey(caller[:16]))),
    "signed by a stranger": lambda root, caller: granted(root, caller, signer=STRANGER),
    "signed by the tester": lambda root, _: granted(root, STRANGER.public_key, signer=STRANGER),
    "not signed": lambda root, caller: replace(granted(root, caller), signature=b""),
    "with half a signature": lambda root, caller: replace(granted(root, caller), signature=bytes(32)),
    "with a broken signature": lambda root, caller: _altered(granted(root, caller)),
    "of another type": lambda root, caller: _of_another_type(granted(root, caller), root),
    "without a payload": lambda root, caller: replace(granted(root, caller), payload=b""),
    "expired": lambda root, caller: granted(
        root, caller, issue_time=utc_now() - timedelta(minutes=5), expire_time=utc_now() - SECOND
    ),
    "not valid yet": lambda root, caller: granted(
        root, caller, issue_time=utc_now() + timedelta(minutes=2), expire_time=utc_now() + timedelta(minutes=9)
    ),
    "longer than an hour": lambda root, caller: granted(root, caller, expire_time=utc_now() + HOUR + SECOND),
    "expired before it was issued": lambda root, caller: granted(
        root, caller, issue_time=utc_now() + 20 * SECOND, expire_time=utc_now() + 10 * SECOND
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
async def test_a_script_is_refused_where_its_grant_is(tested: Node, key: KeyPair, fault: str) -> None:
    async with examining(tested, root=key) as examiner:
        assert (await examiner.play(text("a"))).text == "a"
        grant = REFUSED[fault](key, examiner.caller.key.public_key)
        refused = examiner.script(text("b"), grant=grant)
        with pytest.raises(GrantInvalidError) as caught:
            await examiner.ask(refused)
        # Nothing was bound: the same request id is free for a script that may be asked.
        header = refused.header
        assert (await examiner.play(text("c"), header=header)).text == "c"
    assert "NodeCard" not in str(caught.value)


async def test_a_stranger_is_not_let_in_by_the_grant_of_a_tester(tested: Node, key: KeyPair) -> None:
    async with examining(tested, root=key) as examiner:
        thief = Examiner(caller=examiner.caller.stranger(), grant=examiner.grant)
        with pytest.raises(GrantInvalidError, match="does not name the key"):
            await thief.play(text("a"))


async def test_several_keys_of_a_tester_are_let_in_by_one_grant(tested: Node, key: KeyPair) -> None:
    async with examining(tested, root=key) as examiner:
        other = examiner.caller.stranger()
        testers = (examiner.caller.key.public_key, other.key.public_key)
        grant = granted(key, testers[0], testers=testers)
        for caller in (examiner.caller, other):
            assert (await Examiner(caller=caller, grant=grant).play(text("a"))).text == "a"


async def test_a_grant_holds_up_to_its_last_moment_by_the_clock_of_the_node(key: KeyPair) -> None:
    clock = ManualClock()
    node = Node("tested", key=key, conformance=True, clock=clock)
    async with examining(node, root=key) as examiner:
        examiner.caller.clock = clock
        begin, end = clock.now + 30 * SECOND, clock.now + timedelta(minutes=5)
        grant = granted(key, examiner.caller.key.public_key, issue_time=begin, expire_time=end)
        assert (await examiner.play(text("a"), grant=grant)).text == "a"
        clock.advance(timedelta(minutes=5))
        assert (await examiner.play(text("b"), grant=grant)).text == "b"
        clock.advance(timedelta(microseconds=1))
        with pytest.raises(GrantInvalidError, match="expired"):
            await examiner.play(text("c"), grant=grant)


async def test_an_answer_that_began_under_a_grant_outlives_it(key: KeyPair) -> None:
    clock = ManualClock()
    node = Node("tested", key=key, conformance=True, clock=clock)
    async with examining(node, root=key) as examiner:
        examiner.caller.clock = clock
        signed, call = examiner.open(text("a"), WaitForGate(gate=bytes(16)))
        assert await call.next() is not None
        clock.advance(HOUR)
        call.drop()
        assert (await examiner.caller.cancel(signed.value.header.request_id)).answer.value.model is not None


async def test_what_the_skill_does_not_read_is_refused_by_its_media_type(tested: Node, key: KeyPair) -> None:
    async with examining(tested, root=key) as examiner:
        turn = Turn(role=Role.ASKER, parts=("Say something.",))
        with pytest.raises(MediaTypeUnsupportedError):
            await examiner.ask(replace(examiner.script(), turns=(turn,)))


def _twice(ask: Ask) -> Ask:
    (turn,) = ask.turns
    return replace(ask, turns=(turn, replace(turn, parts=turn.parts * 2)))


def _with_data(ask: Ask, data: bytes) -> Ask:
    turn = Turn(role=Role.ASKER, parts=(Blob(media_type=SCRIPT_MEDIA_TYPE, data=data),))
    return replace(ask, turns=(turn,))


@pytest.mark.parametrize(
    ("spoil", "path"),
    [
        (_twice, "turns[1].parts"),
        (lambda ask: _with_data(ask, b"\xff\xff\xff"), "turns[0].parts[0].blob.data"),
        (lambda ask: _with_data(ask, b""), "grant"),
    ],
)
async def test_what_is_no_script_is_an_invalid_field(
    tested: Node, key: KeyPair, spoil: Callable[[Ask], Ask], path: str
) -> None:
    async with examining(tested, root=key) as examiner:
        with pytest.raises(FieldInvalidError) as caught:
            await examiner.ask(spoil(examiner.script()))
    assert isinstance(caught.value.detail, FieldViolations)
    assert [violation.field for violation in caught.value.detail.violations] == [path]


async def test_the_steps_are_looked_at_before_the_grant(tested: Node, key: KeyPair) -> None:
    async with examining(tested, root=key) as examiner:
        strange = granted(STRANGER, STRANGER.public_key)
        with pytest.raises(FieldInvalidError, match=r"steps\[1\]\.token\.data"):
            await examiner.play(text("a"), text(""), grant=strange)


def test_a_grant_is_made_for_each_key_once() -> None:
    keys = [PublicKey(b"k" * 32), PublicKey(b"l" * 32), PublicKey(b"k" * 32)]
    encoded = grant_tester(STRANGER, testers=keys, lifetime=HOUR, now=utc_now())
    assert from_bytes(encoded).payload.count(b"k" * 32) == 1


@pytest.mark.parametrize(("count", "lifetime"), [(1, HOUR + SECOND), (1, timedelta(0)), (0, HOUR), (65, HOUR)], ids=str)
def test_a_grant_that_no_node_accepts_is_not_made(count: int, lifetime: timedelta) -> None:
    testers = [PublicKey(bytes([number]) * 32) for number in range(count)]
    with pytest.raises(UsageError, match="no node accepts"):
        grant_tester(STRANGER, testers=testers, lifetime=lifetime, now=utc_now())
