import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consilience._wire.envelopes import open_envelope, seal
from consilience._wire.payments import pack_envelope, unpack_envelope
from consilience.calls import MAX_CLOCK_SKEW
from consilience.envelopes import Envelope, Signed
from consilience.errors import DepositInvalidError, RefusedError, UsageError
from consilience.identity import KeyPair, Signer
from consilience.payments import Hold, HoldRelease, TransferStatus
from consilience.rails.contract import Backed, DepositOrder, PayeeRail, PayerRail, Standing
from consilience.rails.hold import DEPOSIT_TIME, GRANT_LIFETIME, HoldPayer, HoldRail, issue_hold
from consilience.tariffs import Backing, Rail
from consilience.units import Digest, EncodedAny
from sdk.tests.rails.promises import (
    DAY,
    ISSUER,
    NOW,
    PAYEE,
    PAYER,
    Keys,
    clock,
    deposit_order,
    instruction,
    payout_order,
    terms,
)

SUCCEEDED, FAILED, PENDING = TransferStatus.SUCCEEDED, TransferStatus.FAILED, TransferStatus.PENDING


def node(**settings: Any) -> PayeeRail:
    return HoldRail(**settings).payee(Keys())


def hold_for(order: DepositOrder, signer: Signer = PAYEE, **changes: Any) -> Signed[Hold]:
    hold = issue_hold(
        issuer=signer,
        session_id=order.session_id,
        deposit_id=order.deposit_id,
        amount=order.amount,
        expire_time=NOW + DAY,
    )
    return seal(replace(hold.value, **changes), signer=signer) if changes else hold


async def check(
    order: DepositOrder, proof: EncodedAny | None, *, credited: bool = False, at: timedelta = timedelta(0)
) -> Standing:
    return await node().check_deposit(order, rail_ref=b"hold.v1:", proof=proof, credited=credited, now=NOW + at)


# What a node offers.


@pytest.mark.parametrize(
    ("settings", "backings"),
    [
        ({}, (Backing.PREPAID,)),
        ({"max_credit": 5}, (Backing.PREPAID, Backing.CREDIT)),
        ({"issuers": (ISSUER.public_key,)}, (Backing.PREPAID, Backing.ESCROW)),
        ({"max_credit": 5, "backings": (Backing.CREDIT,)}, (Backing.CREDIT,)),
    ],
)
def test_the_offer_names_what_the_settings_allow(settings: dict[str, Any], backings: tuple[Backing, ...]) -> None:
    offer = node(**settings, network="home", assets=("USD/6",), min_deposit=2, max_deposit=9).offer
    assert offer == Rail(
        id="hold.v1",
        network="home",
        assets=("USD/6",),
        backings=backings,
        issuers=settings.get("issuers", ()),
        max_credit=settings.get("max_credit", 0),
        min_deposit=2,
        max_deposit=9,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"assets": ()},
        {"assets": ("dollars",)},
        {"network": ""},
        {"max_credit": -1},
        {"min_deposit": 5, "max_deposit": 4},
        {"min_deposit": -1},
        {"max_credit": 5, "backings": (Backing.PREPAID,)},
        {"backings": (Backing.CREDIT,)},
        {"backings": (Backing.PREPAID, Backing.ESCROW)},
        {"issuers": (ISSUER.public_key,), "backings": (Backing.PREPAID,)},
        {"network": "home", "grants": True},
    ],
)
def test_what_cannot_be_offered_is_an_error_at_once(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        HoldRail(**settings)


def test_a_deposit_without_bound_is_offered_as_zero() -> None:
    assert node(min_deposit=5, max_deposit=0).offer.max_deposit == 0


# Deposits.


async def test_a_node_gives_the_hold_of_a_prepaid_deposit_on_a_test_network() -> None:
    order = deposit_order(terms())
    started = await node().start_deposit(order, now=NOW)
    assert started.expire_time == NOW + GRANT_LIFETIME
    assert started.detail is not None
    hold = open_envelope(unpack_envelope(started.detail), Hold)
    assert hold.envelope.public_key == PAYEE.public_key
    assert hold.value == Hold(
        issuer=PAYEE.public_key,
        session_id=order.session_id,
        deposit_id=order.deposit_id,
        amount=100,
        expire_time=NOW + GRANT_LIFETIME,
    )
    assert await check(order, started.detail) == Standing(status=SUCCEEDED, amount=100, reference=hold.digest)


@pytest.mark.parametrize(
    ("settings", "backing"),
    [
        ({"grants": False}, Backing.PREPAID),
        ({"network": "home"}, Backing.PREPAID),
        ({"issuers": (ISSUER.public_key,)}, Backing.ESCROW),
    ],
)
async def test_a_node_that_gives_no_hold_waits_for_one(settings: dict[str, Any], backing: Backing) -> None:
    started = await node(**settings).start_deposit(deposit_order(terms(backing)), now=NOW)
    assert (started.detail, started.expire_time) == (None, NOW + DEPOSIT_TIME)


async def test_nothing_is_deposited_on_credit() -> None:
    with pytest.raises(DepositInvalidError, match="credit"):
        await node(max_credit=50).start_deposit(deposit_order(terms(Backing.CREDIT)), now=NOW)


@pytest.mark.parametrize(("backing", "issuer"), [(Backing.PREPAID, PAYEE), (Backing.ESCROW, ISSUER)])
async def test_a_hold_of_the_issuer_proves_its_deposit(backing: Backing, issuer: KeyPair) -> None:
    order = deposit_order(terms(backing))
    hold = hold_for(order, issuer)
    standing = await check(order, pack_envelope(hold.envelope))
    assert standing == Standing(status=SUCCEEDED, amount=100, reference=hold.digest)


def _flipped(envelope: Envelope) -> Envelope:
    return replace(envelope, signature=envelope.signature[:-1] + bytes([envelope.signature[-1] ^ 1]))


async def test_what_is_no_hold_proves_nothing() -> None:
    order = deposit_order(terms())
    good = hold_for(order)
    release = HoldRelease(
        node_id=PAYEE.public_key,
        signing_key=PAYEE.public_key,
        session_id=order.session_id,
        withdrawal_id=order.deposit_id,
        amount=100,
    )
    proofs: list[EncodedAny | None] = [None, EncodedAny(b""), EncodedAny(b"\xff")]
    proofs += [
        pack_envelope(envelope)
        for envelope in (
            _flipped(good.envelope),
            replace(good.envelope, signature=b""),
            replace(good.envelope, payload=hold_for(order, amount=101).envelope.payload),
            hold_for(order, PAYER, issuer=PAYEE.public_key).envelope,
            seal(release, signer=PAYEE).envelope,
        )
    ]
    for proof in proofs:
        with pytest.raises(DepositInvalidError):
            await check(order, proof)
    assert (await check(order, pack_envelope(good.envelope))).status is SUCCEEDED


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": PAYER.public_key},
        {"session_id": Digest(bytes(32))},
        {"deposit_id": bytes(16)},
        {"amount": 99},
        {"amount": 101},
    ],
)
async def test_a_hold_for_something_else_proves_nothing(changes: dict[str, Any]) -> None:
    order = deposit_order(terms())
    with pytest.raises(DepositInvalidError):
        await check(order, pack_envelope(hold_for(order, PAYER if "issuer" in changes else PAYEE, **changes).envelope))


async def test_a_hold_that_has_expired_proves_only_what_was_credited() -> None:
    order = deposit_order(terms())
    proof = pack_envelope(hold_for(order).envelope)
    assert (await check(order, proof, at=DAY)).status is SUCCEEDED
    late = DAY + timedelta(microseconds=1)
    with pytest.raises(DepositInvalidError, match="expired"):
        await check(order, proof, at=late)
    assert (await check(order, proof, credited=True, at=late)).status is SUCCEEDED
    with pytest.raises(DepositInvalidError):
        await check(order, None, credited=True)


# Payouts.


async def test_a_payout_releases_so_much_of_the_promises() -> None:
    order, keys = payout_order(terms()), Keys()
    rail = HoldRail().payee(keys)
    standing = await rail.start_payout(order, now=NOW)
    assert standing.status is SUCCEEDED
    assert standing.detail is not None
    release = open_envelope(unpack_envelope(standing.detail), HoldRelease)
    assert release.value == HoldRelease(
        node_id=PAYEE.public_key,
        signing_key=keys.signing.public_key,
        session_id=order.session_id,
        withdrawal_id=order.withdrawal_id,
        amount=40,
    )
    assert await rail.start_payout(order, now=NOW + DAY) == standing
    assert await HoldRail().payee(Keys()).check_payout(order, now=NOW) == standing


# The payer.


def offer(**settings: Any) -> Rail:
    return node(**({"max_credit": 50, "issuers": (ISSUER.public_key,)} | settings)).offer


CREDIT = Backed(backing=Backing.CREDIT, issuer=PAYER.public_key, credit_limit=30)
ESCROW = Backed(backing=Backing.ESCROW, issuer=ISSUER.public_key)
PREPAID = Backed(backing=Backing.PREPAID, issuer=PAYEE.public_key)


@pytest.mark.parametrize(
    ("agreed", "settings", "most", "backed"),
    [
        ({"max_credit": 100, "issuers": (ISSUER.public_key,)}, {}, 30, CREDIT),
        ({"max_credit": 100}, {}, 60, PREPAID),
        ({"max_credit": 20, "issuers": (ISSUER.public_key,)}, {}, 30, ESCROW),
        ({"issuers": (PAYEE.public_key, ISSUER.public_key)}, {}, 30, ESCROW),
        ({"issuers": (KeyPair(b"x" * 32).public_key,)}, {}, 30, PREPAID),
        ({}, {}, 30, PREPAID),
        ({"prepaid": False}, {}, 30, None),
        ({"prepaid": False, "max_credit": 100}, {}, 80, replace(CREDIT, credit_limit=50)),
        ({"prepaid": False, "max_credit": 30}, {}, 80, CREDIT),
        ({"prepaid": False, "max_credit": 30}, {"max_credit": 0}, 80, None),
        ({"network": "home"}, {}, 30, None),
        ({}, {"network": "home"}, 30, None),
    ],
)
def test_a_payer_agrees_to_what_puts_least_at_risk(
    agreed: dict[str, Any], settings: dict[str, Any], most: int, backed: Backed | None
) -> None:
    payer: PayerRail = HoldPayer(**agreed)
    found = payer.backed(offer(**settings), payer=PAYER.public_key, payee=PAYEE.public_key, most=most)
    assert found == backed


def test_a_payer_pays_no_other_rail() -> None:
    other = replace(offer(), id="ln.l402")
    assert HoldPayer().backed(other, payer=PAYER.public_key, payee=PAYEE.public_key, most=1) is None


async def test_a_payer_shows_the_hold_that_the_node_gave() -> None:
    order = deposit_order(terms())
    started = await node().start_deposit(order, now=NOW)
    for paying in (HoldPayer(clock=clock).pay, HoldPayer(clock=clock).check):
        paid = await paying(order, instruction(order, started))
        assert paid.status is SUCCEEDED
        assert (await check(order, paid.proof)).status is SUCCEEDED


async def test_a_hold_that_has_expired_is_no_longer_paid_with_and_another_one_is_asked_for() -> None:
    given = deposit_order(terms())
    started = await node().start_deposit(given, now=NOW)
    too_late = NOW + GRANT_LIFETIME + MAX_CLOCK_SKEW + timedelta(microseconds=1)
    assert (await HoldPayer(clock=lambda: too_late).pay(given, instruction(given, started))).status is FAILED
    assert (await HoldPayer(clock=lambda: too_late).check(given, instruction(given, started))).status is SUCCEEDED
    wanted = deposit_order(terms(Backing.ESCROW))
    fresh = hold_for(wanted, ISSUER, expire_time=too_late + DAY)

    async def source(_: DepositOrder) -> Envelope:
        return fresh.envelope

    payer = HoldPayer(source=source, clock=lambda: too_late)
    payer.take(hold_for(wanted, ISSUER, expire_time=NOW).envelope)
    paid = await payer.pay(wanted, instruction(wanted, None))
    assert (paid.status, paid.proof) == (SUCCEEDED, pack_envelope(fresh.envelope))


async def test_a_deposit_for_which_no_hold_came_in_its_time_has_failed() -> None:
    order = deposit_order(terms(Backing.ESCROW))
    told = instruction(order, None)
    asked: list[DepositOrder] = []

    async def source(order: DepositOrder) -> Envelope:
        asked.append(order)
        return hold_for(order, ISSUER, expire_time=told.expire_time + DAY).envelope

    last = told.expire_time + MAX_CLOCK_SKEW
    for when, status in ((last, PENDING), (last + timedelta(microseconds=1), FAILED)):
        assert (await HoldPayer(clock=lambda when=when: when).pay(order, told)).status is status  # type: ignore[misc]
    late = HoldPayer(source=source, clock=lambda: last + timedelta(microseconds=1))
    assert (await late.pay(order, told)).status is FAILED
    assert asked == []
    assert (await late.check(order, told)).status is PENDING


async def test_a_hold_of_the_node_that_does_not_fit_has_failed() -> None:
    order = deposit_order(terms())
    for detail in (pack_envelope(hold_for(order, amount=99).envelope), EncodedAny(b"")):
        paid = await HoldPayer().pay(order, instruction(order, detail))
        assert (paid.status, paid.proof) == (FAILED, None)


async def test_a_payer_shows_a_hold_once_it_was_handed_it() -> None:
    order, payer = deposit_order(terms(Backing.ESCROW)), HoldPayer(clock=clock)
    told = instruction(order, None)
    assert (await payer.pay(order, told)).status is PENDING
    payer.take(hold_for(order, ISSUER, amount=99).envelope)
    assert (await payer.pay(order, told)).status is PENDING
    payer.take(hold_for(order, ISSUER).envelope)
    paid = await payer.pay(order, told)
    assert paid == await payer.check(order, told)
    assert (await check(order, paid.proof)).status is SUCCEEDED


def test_a_payer_is_handed_nothing_but_holds() -> None:
    with pytest.raises(RefusedError):
        HoldPayer().take(terms().envelope)


async def test_a_payer_gets_a_hold_from_the_issuer_when_it_pays_and_not_when_it_looks() -> None:
    order = deposit_order(terms(Backing.ESCROW))
    asked: list[DepositOrder] = []
    holds = [None, hold_for(order, ISSUER).envelope]

    async def source(wanted: DepositOrder) -> Envelope | None:
        asked.append(wanted)
        return holds.pop(0)

    payer, told = HoldPayer(source=source, clock=clock), instruction(order, None)
    assert (await payer.check(order, told)).status is PENDING
    assert asked == []
    assert (await payer.pay(order, told)).status is PENDING
    assert (await payer.pay(order, told)).status is SUCCEEDED
    assert (await payer.check(order, told)).status is SUCCEEDED
    assert asked == [order, order]


@pytest.mark.parametrize("error", [ConnectionError("gone"), TimeoutError(), KeyError("a defect")])
async def test_an_issuer_that_does_not_answer_leaves_a_deposit_pending(error: Exception) -> None:
    async def source(_: DepositOrder) -> Envelope | None:
        raise error

    order = deposit_order(terms(Backing.ESCROW))
    assert (await HoldPayer(source=source, clock=clock).pay(order, instruction(order, None))).status is PENDING


async def test_an_issuer_that_gives_something_else_leaves_a_deposit_pending() -> None:
    order = deposit_order(terms(Backing.ESCROW))

    async def source(_: DepositOrder) -> Envelope | None:
        return hold_for(order, ISSUER, deposit_id=os.urandom(16)).envelope

    assert (await HoldPayer(source=source, clock=clock).pay(order, instruction(order, None))).status is PENDING
