"""How a node is paid: `[payments]`, and the rails on which money comes (spec section 3.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field

from consilience.conformance import BANK_RAIL_ID
from consilience.errors import AddressInvalidError, UsageError
from consilience.identity import parse_node_id
from consilience.rails.bank import BankRail
from consilience.rails.contract import RailSettings
from consilience.rails.hold import DEFAULT_MAX_DEPOSIT, HOLD_RAIL, TEST_NETWORK, HoldRail
from consilience.server.payments import Payments
from consilience.server.payments.offers import (
    DEFAULT_QUOTES_PER_MINUTE,
    DEFAULT_SESSIONS_PER_MINUTE,
    DEFAULT_TRANSFERS_PER_MINUTE,
)
from consilience.units import PublicKey
from consilience_node.config.amounts import AmountValue, AssetId, Complaint, units_of
from consilience_node.config.tables import Address, Table

MAX_CALLS_PER_MINUTE = 1_000_000


def _node_id(text: object) -> PublicKey:
    try:
        return parse_node_id(text if isinstance(text, str) else "")
    except AddressInvalidError as error:
        raise ValueError("must be a node id, cn1…") from error


NodeId: TypeAlias = Annotated[PublicKey, BeforeValidator(_node_id)]
PerMinute: TypeAlias = Annotated[int, Field(ge=1, le=MAX_CALLS_PER_MINUTE)]


class _RailTable(Table):
    """What the rails have in common.

    Attributes:
        assets: That it moves.
        min_deposit, max_deposit: Of one deposit; a `max_deposit` of 0: it is not bounded.
    """

    assets: Annotated[tuple[AssetId, ...], Field(strict=False, min_length=1, max_length=16)] = ("TEST/0",)
    min_deposit: AmountValue = 1
    max_deposit: AmountValue = DEFAULT_MAX_DEPOSIT

    def settings(self) -> RailSettings:
        """Returns it as the server toolkit takes it.

        Raises:
            UsageError: It cannot be; `complaints` says why.
        """
        raise NotImplementedError

    def complaints(self) -> Iterator[Complaint]:
        """Yields what no value has wrong by itself."""
        wrong = list(self._wrong_values())
        yield from wrong
        if not wrong:
            try:
                self.settings()
            except UsageError as error:
                yield (), str(error)

    def _wrong_values(self) -> Iterator[Complaint]:
        """Yields what is wrong with single values."""
        for key in self._amounts:
            try:
                self._units(getattr(self, key))
            except UsageError as error:
                yield (key,), str(error)

    @property
    def _amounts(self) -> tuple[str, ...]:
        return "min_deposit", "max_deposit"

    def _units(self, amount: int | str) -> int:
        if isinstance(amount, str) and len(self.assets) > 1:
            raise UsageError("must be a number of units, since the rail moves several assets")
        return units_of(amount, asset=self.assets[0])


class HoldTable(_RailTable):
    """`[[payments.rails]]` with `rail = "hold.v1"`: takes promises, and needs no outside service.

    Attributes:
        rail: Which one.
        network: Tells deployments apart; "test": nothing of value.
        max_credit: What a payer may owe out of one session; 0: nothing.
        issuers: Node ids, cn1…, whose promises are taken in escrow.
        grants: Whether the node gives whoever asks the money for a deposit, for nothing, which it may on the network
            "test" alone, and does there when absent. Elsewhere: `consilience-node grant-hold`.
    """

    rail: Literal["hold.v1"]
    network: Annotated[str, Field(min_length=1, max_length=64)] = TEST_NETWORK
    max_credit: AmountValue = 0
    issuers: Annotated[tuple[NodeId, ...], Field(strict=False, max_length=64)] = ()
    grants: bool | None = None

    def settings(self) -> HoldRail:
        """Returns it as the server toolkit takes it; raises as that of all rails."""
        return HoldRail(
            network=self.network,
            assets=self.assets,
            issuers=self.issuers,
            max_credit=self._units(self.max_credit),
            min_deposit=self._units(self.min_deposit),
            max_deposit=self._units(self.max_deposit),
            grants=self.grants,
        )

    def _wrong_values(self) -> Iterator[Complaint]:
        yield from super()._wrong_values()
        if self.grants and self.network != TEST_NETWORK:
            yield ("grants",), 'goes with network = "test": elsewhere the node would give away what is of value'

    @property
    def _amounts(self) -> tuple[str, ...]:
        return "max_credit", "min_deposit", "max_deposit"


class BankTable(_RailTable):
    """`[[payments.rails]]` with `rail = "conformance.bank"`: money of no value, in a bank that a tester plays.

    Attributes:
        rail: Which one.
        network: Its units are worth nothing.
        address: Where the tester serves the bank, `host:port` on this machine.
    """

    rail: Literal["conformance.bank"]
    network: Literal["test"] = "test"
    address: Address

    def settings(self) -> BankRail:
        """Returns it as the server toolkit takes it; raises as that of all rails."""
        return BankRail(
            address=self.address,
            assets=self.assets,
            min_deposit=self._units(self.min_deposit),
            max_deposit=self._units(self.max_deposit),
        )


RailTable: TypeAlias = Annotated[HoldTable | BankTable, Field(discriminator="rail")]

RAIL_TABLES: dict[str, type[BaseModel]] = {HOLD_RAIL: HoldTable, BANK_RAIL_ID: BankTable}
"""The tables of the rails, by their ids."""


class PaymentsTable(Table):
    """`[payments]`: how the node is paid; what for stands at its skills and models.

    Attributes:
        quotes_per_minute: How often one caller may ask for a price.
        sessions_per_minute: How often one caller may open sessions and start deposits.
        transfers_per_minute: How often one address may do so, confirm deposits and withdraw, under whatever keys.
        rails: On which money comes.
    """

    quotes_per_minute: PerMinute = DEFAULT_QUOTES_PER_MINUTE
    sessions_per_minute: PerMinute = DEFAULT_SESSIONS_PER_MINUTE
    transfers_per_minute: PerMinute = DEFAULT_TRANSFERS_PER_MINUTE
    rails: Annotated[tuple[RailTable, ...], Field(strict=False, min_length=1)]

    def payments(self) -> Payments:
        """Returns it as the server toolkit takes it."""
        return Payments(
            rails=tuple(rail.settings() for rail in self.rails),
            quotes_per_minute=self.quotes_per_minute,
            sessions_per_minute=self.sessions_per_minute,
            transfers_per_minute=self.transfers_per_minute,
        )
