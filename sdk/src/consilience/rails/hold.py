"""The rail `hold.v1`: money is what somebody promises, and no outside service takes part (spec section 3.4).

A deposit is a `Hold`, signed by the issuer of the session; a payout is a `HoldRelease`, signed by the payee. Nothing is
kept here: promises are made out of the orders alone, so that the same order always leads to the same promise.

The payee: `Payments(rails=[HoldRail(max_credit=10_000)], …)`. The payer: `HoldPayer(max_credit=10_000)`. The issuer:
`issue_hold`, for whoever was paid by other means, and `escrow.settle_escrow`, for who stands between the two.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience._wire.envelopes import open_envelope, seal
from consilience._wire.payments import pack_envelope, unpack_envelope
from consilience.calls import MAX_CLOCK_SKEW
from consilience.envelopes import Envelope, Signed
from consilience.errors import DepositInvalidError, RefusedError, UsageError
from consilience.identity import Signer
from consilience.payments import (
    DepositInstruction,
    Hold,
    HoldRelease,
    SessionTerms,
    TransferStatus,
    check_hold,
)
from consilience.rails.contract import (
    Backed,
    DepositOrder,
    Paid,
    PayeeKeys,
    PayoutOrder,
    Standing,
    StartedDeposit,
)
from consilience.tariffs import Backing, Rail, is_asset
from consilience.units import Digest, EncodedAny, PublicKey, utc_now

HOLD_RAIL = "hold.v1"
TEST_NETWORK = "test"

GRANT_LIFETIME = timedelta(hours=1)
"""How long a hold is good that the node gives by itself."""

DEPOSIT_TIME = timedelta(days=1)
"""How long a payer has to bring a hold that comes from elsewhere: from the operator, or the issuer of an escrow."""

DEFAULT_MAX_DEPOSIT = 1_000_000

HoldSource = Callable[[DepositOrder], Awaitable[Envelope | None]]
"""Gets the hold of a deposit from its issuer, the same one for the same order; None: there is none yet."""


def issue_hold(
    *, issuer: Signer, session_id: Digest, deposit_id: bytes, amount: int, expire_time: datetime
) -> Signed[Hold]:
    """Makes a promise for one deposit: of an operator who was paid by other means, or of the issuer of an escrow.

    Args:
        issuer: The issuer of the session; if prepaid, the root key of the node.
        session_id: The digest of the terms.
        deposit_id: Of the deposit, 16 bytes.
        amount: In units of the session's asset.
        expire_time: Until when the promise can be called in, aware UTC.
    """
    hold = Hold(
        issuer=issuer.public_key, session_id=session_id, deposit_id=deposit_id, amount=amount, expire_time=expire_time
    )
    return seal(hold, signer=issuer)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRail:
    """How a node takes promises.

    Attributes:
        network: Tells deployments apart; `test`: nothing of value.
        assets: That are moved.
        backings: That are taken; empty: PREPAID, CREDIT where `max_credit` is above zero, ESCROW where there are
            `issuers`.
        issuers: Whose promises are taken in escrow.
        max_credit: Of one session, in units of the asset.
        min_deposit: Of one deposit, in units of the asset.
        max_deposit: Of one deposit, in units of the asset; 0: it is not bounded.
        grants: The node gives whoever asks the hold of a prepaid deposit, for nothing; None: on the network `test`.
            Without grants the operator makes the hold, with `issue_hold`, and hands it to the payer.

    Raises:
        UsageError: It offers what cannot be, or gives away what is of value.
    """

    network: str = TEST_NETWORK
    assets: tuple[str, ...] = ("TEST/0",)
    backings: tuple[Backing, ...] = ()
    issuers: tuple[PublicKey, ...] = ()
    max_credit: int = 0
    min_deposit: int = 1
    max_deposit: int = DEFAULT_MAX_DEPOSIT
    grants: bool | None = None

    def __post_init__(self) -> None:
        if not self.assets or not all(map(is_asset, self.assets)):
            raise UsageError("hold.v1 needs the ids of the assets that it moves, as USD/6")
        if not self.network:
            raise UsageError("hold.v1 needs the name of a network")
        if min(self.max_credit, self.min_deposit, self.max_deposit) < 0 or 0 < self.max_deposit < self.min_deposit:
            raise UsageError("the bounds of hold.v1 are not negative, and max_deposit is 0 or the larger one")
        if (Backing.CREDIT in self.offered) != (self.max_credit > 0):
            raise UsageError("hold.v1 lends with a max_credit above zero, and only then has CREDIT among its backings")
        if (Backing.ESCROW in self.offered) != bool(self.issuers):
            raise UsageError("hold.v1 takes escrow of the issuers that it names, and only then has it in its backings")
        if self.grants and self.network != TEST_NETWORK:
            raise UsageError("hold.v1 gives grants on the network test alone: elsewhere, hand out holds by hand")

    @property
    def offered(self) -> tuple[Backing, ...]:
        """The backings that are taken."""
        if self.backings:
            return self.backings
        lent = (Backing.CREDIT,) if self.max_credit else ()
        return (Backing.PREPAID, *lent, *((Backing.ESCROW,) if self.issuers else ()))

    @property
    def gives_grants(self) -> bool:
        """Whether the node gives holds by itself."""
        return self.network == TEST_NETWORK if self.grants is None else self.grants

    def payee(self, keys: PayeeKeys) -> HoldPayee:
        """Returns the rail for a node."""
        return HoldPayee(self, keys=keys)


class HoldPayee:
    """The side of the node: see `PayeeRail` for each method. It never waits for anything, and nothing is PENDING."""

    def __init__(self, settings: HoldRail, *, keys: PayeeKeys) -> None:
        """Makes the side of a node.

        Args:
            settings: What it offers.
            keys: The root signs prepaid holds, a signing key releases.
        """
        self._settings = settings
        self._keys = keys
        self._offer = Rail(
            id=HOLD_RAIL,
            network=settings.network,
            assets=settings.assets,
            backings=settings.offered,
            issuers=settings.issuers,
            max_credit=settings.max_credit,
            min_deposit=settings.min_deposit,
            max_deposit=settings.max_deposit,
        )

    @property
    def offer(self) -> Rail:
        """What the card says about the rail."""
        return self._offer

    async def start_deposit(self, order: DepositOrder, *, now: datetime) -> StartedDeposit:
        """Waits for a hold; gives it to the payer, where the node does."""
        if order.terms.backing is Backing.CREDIT:
            raise DepositInvalidError("nothing is deposited on credit")
        granted = order.terms.backing is Backing.PREPAID and self._settings.gives_grants
        expire_time = now + (GRANT_LIFETIME if granted else DEPOSIT_TIME)
        return StartedDeposit(
            rail_ref=b":".join((HOLD_RAIL.encode(), order.session_id + order.deposit_id)),
            expire_time=expire_time,
            detail=self._grant(order, expire_time=expire_time) if granted else None,
        )

    async def check_deposit(
        self,
        order: DepositOrder,
        *,
        rail_ref: bytes,  # noqa: ARG002 - the order says it all
        proof: EncodedAny | None,
        credited: bool,
        now: datetime,
    ) -> Standing:
        """Checks the hold that is shown (PAY-HOLD-001); without one there is nothing to see."""
        if proof is None:
            raise DepositInvalidError("a hold is needed to prove the deposit")
        hold = _opened(proof)
        _check(hold, order, now=hold.value.expire_time if credited else now)
        return Standing(status=TransferStatus.SUCCEEDED, amount=order.amount, reference=hold.digest)

    async def start_payout(self, order: PayoutOrder, *, now: datetime) -> Standing:
        """Releases so much of the promises."""
        signer = self._keys.signer(now=now)
        release = HoldRelease(
            node_id=self._keys.root.public_key,
            signing_key=signer.public_key,
            session_id=order.session_id,
            withdrawal_id=order.withdrawal_id,
            amount=order.amount,
        )
        detail = pack_envelope(seal(release, signer=signer).envelope)
        return Standing(status=TransferStatus.SUCCEEDED, detail=detail)

    async def check_payout(self, order: PayoutOrder, *, now: datetime) -> Standing:
        """Releases it now: that of one withdrawal counts once, however often it is signed."""
        return await self.start_payout(order, now=now)

    def _grant(self, order: DepositOrder, *, expire_time: datetime) -> EncodedAny:
        hold = issue_hold(
            issuer=self._keys.root,
            session_id=order.session_id,
            deposit_id=order.deposit_id,
            amount=order.amount,
            expire_time=expire_time,
        )
        return pack_envelope(hold.envelope)


class HoldPayer:
    """The side of the client: see `PayerRail` for each method.

    On credit it lets vouchers rise, and has nothing else to pay with. Else it shows a hold: the one in the instruction,
    one that it was handed, or one that it gets from the issuer. Whether one that was shown is still good is the payee's
    to say, who may have credited it long ago; what is not credited yet, and has expired, is not shown any more. A
    deposit for which none came in the time of its instruction has failed: its payee takes none for it any more.
    """

    def __init__(
        self,
        *,
        network: str = TEST_NETWORK,
        max_credit: int = 0,
        prepaid: bool = True,
        issuers: Iterable[PublicKey] = (),
        source: HoldSource | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Says what the client agrees to.

        Args:
            network: On which it pays.
            max_credit: The most that it will owe out of one session, in units of the asset; 0: it borrows nothing.
            prepaid: It trusts a node with money that it has not spent.
            issuers: Whom it trusts to hold its money in escrow, the preferred one first.
            source: Gets holds from issuers; without it, they are handed over with `take`.
            clock: Tells the aware UTC time.
        """
        self._network = network
        self._max_credit = max_credit
        self._prepaid = prepaid
        self._issuers = tuple(issuers)
        self._source = source
        self._clock = clock
        self._holds: dict[tuple[Digest, bytes], Signed[Hold]] = {}

    @property
    def id(self) -> str:
        """The id of the rail."""
        return HOLD_RAIL

    @property
    def network(self) -> str:
        """The network on which it pays."""
        return self._network

    @property
    def sends_money(self) -> bool:
        """False: a hold is shown, and what was paid for it was paid before."""
        return False

    def take(self, hold: Envelope) -> None:
        """Keeps a hold that the client was handed, for the deposit that it names.

        Raises:
            RefusedError: It is no hold.
        """
        opened = open_envelope(hold, Hold)
        self._holds[opened.value.session_id, opened.value.deposit_id] = opened

    def backed(self, offer: Rail, *, payer: PublicKey, payee: PublicKey, most: int) -> Backed | None:
        """Chooses where least is at risk: credit that covers it all, escrow, prepaid, credit that covers a part."""
        if (offer.id, offer.network) != (HOLD_RAIL, self._network):
            return None
        lent = min(most, self._max_credit, offer.max_credit) if Backing.CREDIT in offer.backings else 0
        credit = Backed(backing=Backing.CREDIT, issuer=payer, credit_limit=lent)
        if lent >= most > 0:
            return credit
        trusted = next((issuer for issuer in self._issuers if issuer in offer.issuers), None)
        if trusted is not None and Backing.ESCROW in offer.backings and trusted not in (payer, payee):
            return Backed(backing=Backing.ESCROW, issuer=trusted)
        if self._prepaid and Backing.PREPAID in offer.backings:
            return Backed(backing=Backing.PREPAID, issuer=payee)
        return credit if lent > 0 else None

    async def pay(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        """Shows the hold of the deposit: PENDING while there is none that fits, FAILED where the node gave another.

        FAILED, too, once the time of the instruction has passed.
        """
        now = self._clock() - MAX_CLOCK_SKEW
        shown = self._looked_for(order, instruction, now=now)
        if shown.status is not TransferStatus.PENDING or self._source is None:
            return shown
        try:
            if (found := await self._source(order)) is not None:
                self.take(found)
        except Exception:  # noqa: BLE001 - whatever keeps the issuer from answering, nothing is known of the hold
            return shown
        return self._looked_for(order, instruction, now=now)

    async def check(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        """Shows the hold of the deposit where the client has it; asks nobody for one."""
        return self._looked_for(order, instruction)

    def destination(self, terms: SessionTerms) -> None:
        """Returns None: a release needs no place to go."""

    def _looked_for(self, order: DepositOrder, instruction: DepositInstruction, *, now: datetime | None = None) -> Paid:
        """Shows the hold of the deposit, unless it has expired by `now`."""
        if instruction.detail is not None:
            try:
                given = _opened(instruction.detail)
            except DepositInvalidError:
                return Paid(status=TransferStatus.FAILED)
            return _shown(given, order, otherwise=TransferStatus.FAILED, now=now)
        if now is not None and now > instruction.expire_time:
            return Paid(status=TransferStatus.FAILED)
        handed = self._holds.get((order.session_id, order.deposit_id))
        if handed is None:
            return Paid(status=TransferStatus.PENDING)
        return _shown(handed, order, otherwise=TransferStatus.PENDING, now=now)


def _shown(hold: Signed[Hold], order: DepositOrder, *, otherwise: TransferStatus, now: datetime | None) -> Paid:
    try:
        _check(hold, order, now=now or hold.value.expire_time)
    except DepositInvalidError:
        return Paid(status=otherwise)
    return Paid(status=TransferStatus.SUCCEEDED, proof=pack_envelope(hold.envelope))


def _opened(packed: EncodedAny) -> Signed[Hold]:
    """Opens a hold; raises DepositInvalidError where it is none (PAY-HOLD-001)."""
    try:
        return open_envelope(unpack_envelope(packed), Hold)
    except RefusedError as error:
        raise DepositInvalidError(f"the proof is no hold: {error}") from error


def _check(hold: Signed[Hold], order: DepositOrder, *, now: datetime) -> None:
    check_hold(
        hold,
        terms=order.terms,
        session_id=order.session_id,
        deposit_id=order.deposit_id,
        amount=order.amount,
        now=now,
    )
