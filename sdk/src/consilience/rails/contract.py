"""The contract of rails: what one has to do for a payee, which takes money, and for a payer, which spends it.

A rail moves money and keeps no account: deposits and payouts are counted by the ledger of the payee and the wallet of
the payer, who write down what they are about to do before they call. So every method here may be called again with the
same order after a crash, any number of times, and moves money once. What is not known is PENDING (PAY-RAIL-001): a rail
that cannot reach its service says so; of a deposit that it cannot start it raises RailSilentError, and else nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from consilience.errors import ConsilienceError
from consilience.identity import Signer
from consilience.payments import DepositInstruction, SessionTerms, TransferStatus
from consilience.tariffs import Backing, Rail
from consilience.units import Digest, EncodedAny, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositOrder:
    """A deposit to make or to look for; `session_id` and `deposit_id`, of 16 bytes, together name it for ever.

    Attributes:
        session_id: The digest of the terms.
        terms: Those of the session.
        deposit_id: Chosen by the payer.
        amount: What is to arrive, in units of the asset.
    """

    session_id: Digest
    terms: SessionTerms
    deposit_id: bytes
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutOrder:
    """A payout to make or to look for; `session_id` and `withdrawal_id`, of 16 bytes, together name it for ever.

    Attributes:
        session_id: The digest of the terms.
        terms: Those of the session.
        withdrawal_id: Chosen by the payer.
        amount: In units of the asset.
        destination: Where to, in the words of the rail, or None: the rail knows.
    """

    session_id: Digest
    terms: SessionTerms
    withdrawal_id: bytes
    amount: int
    destination: EncodedAny | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedDeposit:
    """A deposit that a payee's rail waits for.

    Attributes:
        rail_ref: What the rail knows it by, 1 to 256 bytes, unique over all rails: it begins with the id of the rail.
        expire_time: Until when the deposit can be made, aware UTC.
        detail: What the payer has to be told, in the words of the rail, or None.
    """

    rail_ref: bytes
    expire_time: datetime
    detail: EncodedAny | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a transfer stands.

    Attributes:
        status: What the rail knows; anything else than SUCCEEDED and FAILED is PENDING.
        amount: Of a deposit that SUCCEEDED: what really came, in units of the asset.
        reference: Of a deposit that SUCCEEDED: what proves it, hashed, 32 bytes; it counts once, over all sessions.
        detail: Of a payout: what the rail gives for it, in its words, or None.
    """

    status: TransferStatus
    amount: int = 0
    reference: bytes = b""
    detail: EncodedAny | None = None


class RailSilentError(ConsilienceError):
    """A rail did not answer in its time, or answered what means nothing: whatever it was asked about is PENDING."""

    remedy = "Ask again later, about the same transfer."


PENDING = Standing(status=TransferStatus.PENDING)
FAILED = Standing(status=TransferStatus.FAILED)


class PayeeRail(Protocol):
    """The side of the node, which is paid."""

    @property
    def offer(self) -> Rail:
        """What the card says about the rail."""

    async def start_deposit(self, order: DepositOrder, *, now: datetime) -> StartedDeposit:
        """Makes ready for a deposit, as by an invoice. The ledger keeps what is returned and gives it out again.

        Raises:
            DepositInvalidError: The rail takes no such deposit.
            RailSilentError: Its service does not answer; the same deposit may be asked for again.
        """

    async def check_deposit(
        self, order: DepositOrder, *, rail_ref: bytes, proof: EncodedAny | None, credited: bool, now: datetime
    ) -> Standing:
        """Tells whether a deposit has come.

        Args:
            order: The deposit.
            rail_ref: What `start_deposit` returned.
            proof: What the payer shows for it, or None: none was shown, as when the node looks by itself.
            credited: The ledger has it already. A proof has to hold all the same, but may have expired since.
            now: Aware UTC.

        Raises:
            DepositInvalidError: The proof does not hold, or there is none and the rail needs one. It says nothing of
                the deposit, which stays PENDING.
        """

    async def start_payout(self, order: PayoutOrder, *, now: datetime) -> Standing:
        """Pays money out, once for each order, and tells how that stands."""

    async def check_payout(self, order: PayoutOrder, *, now: datetime) -> Standing:
        """Tells how a payout stands that was started; one of which the rail knows nothing is started now."""


class PayeeKeys(Protocol):
    """The keys of a node, for a rail that makes promises in its name."""

    @property
    def root(self) -> Signer:
        """Signs as the node itself."""

    def signer(self, *, now: datetime) -> Signer:
        """Returns a key that the card lists, and that has not expired."""


class RailSettings(Protocol):
    """How an operator sets a rail up: what stands in `Payments(rails=[…])`."""

    def payee(self, keys: PayeeKeys) -> PayeeRail:
        """Returns the rail for a node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backed:
    """What is to stand behind a session: the part of its terms that the rail of the payer decides.

    Attributes:
        backing: Whether it is prepaid, on credit or in escrow.
        issuer: Who stands behind it, 32 bytes.
        credit_limit: In units of the asset; above zero on credit alone.
    """

    backing: Backing
    issuer: PublicKey
    credit_limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """How the payer's side of a deposit stands.

    Attributes:
        status: SUCCEEDED: the money has left, and `proof` shows it. FAILED: it has not, and will not.
        proof: For `ConfirmDeposit`, in the words of the rail, or None: the payee's rail sees for itself.
    """

    status: TransferStatus
    proof: EncodedAny | None = None


class PayerRail(Protocol):
    """The side of the client, which pays."""

    @property
    def id(self) -> str:
        """The id of the rail: `hold.v1`."""

    @property
    def network(self) -> str:
        """The network on which it pays."""

    @property
    def sends_money(self) -> bool:
        """Whether `pay` sends what is lost where the payee is never told of it.

        Then the first deposit of a session is one window, and the rest follows once all of that has come (PAY-DEP-004).
        """

    def backed(self, offer: Rail, *, payer: PublicKey, payee: PublicKey, most: int) -> Backed | None:
        """Decides what is to stand behind a session.

        Args:
            offer: What the card of the payee says.
            payer: The key of the client, 32 bytes.
            payee: That of the node, 32 bytes.
            most: What the session may come to owe, in units of the asset.

        Returns:
            None: the rail cannot pay this payee.
        """

    async def pay(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        """Makes a deposit, once for each order, or tells how the earlier attempt stands.

        The wallet has written the order down before. After half a minute the call is cancelled, and the deposit is
        PENDING: who is called again with the order goes on.
        """

    async def check(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        """Tells how a deposit stands that may have been paid before a crash; pays nothing."""

    def destination(self, terms: SessionTerms) -> EncodedAny | None:
        """Returns where a payout of a session goes, or None: the payee's rail knows."""
