"""How a node is paid: `[payments]`, and the rails on which money comes (spec section 3.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from consilience.errors import AddressInvalidError, UsageError
from consilience.identity import parse_node_id
from consilience.rails.hold import DEFAULT_MAX_DEPOSIT, HOLD_RAIL, TEST_NETWORK, HoldRail
from consilience.server.payments import Payments
from consilience.server.payments.offers import DEFAULT_QUOTES_PER_MINUTE, DEFAULT_SESSIONS_PER_MINUTE
from consilience.units import PublicKey
from consilience_node.config.amounts import AmountValue, AssetId, Complaint, units_of
from consilience_node.config.tables import Table

RAILS = (HOLD_RAIL,)
MAX_CALLS_PER_MINUTE = 1_000_000


def _rail(name: str) -> str:
    if name not in RAILS:
        raise ValueError(f"must be a rail that this node knows: {', '.join(RAILS)}")
    return name


def _node_id(text: object) -> PublicKey:
    try:
        return parse_node_id(text if isinstance(text, str) else "")
    except AddressInvalidError as error:
        raise ValueError("must be a node id, cn1…") from error


RailName: TypeAlias = Annotated[str, AfterValidator(_rail)]
NodeId: TypeAlias = Annotated[PublicKey, BeforeValidator(_node_id)]
PerMinute: TypeAlias = Annotated[int, Field(ge=1, le=MAX_CALLS_PER_MINUTE)]


class RailTable(Table):
    """`[[payments.rails]]`: a rail on which money comes. `hold.v1` takes promises, and needs no outside service.

    Attributes:
        rail: Which one.
        network: Tells deployments apart; "test": nothing of value.
        assets: That it moves.
        max_credit: What a payer may owe out of one session; 0: nothing.
        min_deposit, max_deposit: Of one deposit; a `max_deposit` of 0: it is not bounded.
        issuers: Node ids, cn1…, whose promises are taken in escrow.
        grants: Whether the node gives whoever asks the money for a deposit, for nothing, which it may on the network
            "test" alone, and does there when absent. Elsewhere: `consilience-node grant-hold`.
    """

    rail: RailName
    network: Annotated[str, Field(min_length=1, max_length=64)] = TEST_NETWORK
    assets: Annotated[tuple[AssetId, ...], Field(strict=False, min_length=1, max_length=16)] = ("TEST/0",)
    max_credit: AmountValue = 0
    min_deposit: AmountValue = 1
    max_deposit: AmountValue = DEFAULT_MAX_DEPOSIT
    issuers: Annotated[tuple[NodeId, ...], Field(strict=False, max_length=64)] = ()
    grants: bool | None = None

    def settings(self) -> HoldRail:
        """Returns it as the server toolkit takes it.

        Raises:
            UsageError: It cannot be; `complaints` says why.
        """
        return HoldRail(
            network=self.network,
            assets=self.assets,
            issuers=self.issuers,
            max_credit=self._units(self.max_credit),
            min_deposit=self._units(self.min_deposit),
            max_deposit=self._units(self.max_deposit),
            grants=self.grants,
        )

    def complaints(self) -> Iterator[Complaint]:
        """Yields what no value has wrong by itself."""
        wrong = list(self._wrong_amounts())
        yield from wrong
        if self.grants and self.network != TEST_NETWORK:
            yield ("grants",), 'goes with network = "test": elsewhere the node would give away what is of value'
        elif not wrong:
            try:
                self.settings()
            except UsageError as error:
                yield (), str(error)

    def _wrong_amounts(self) -> Iterator[Complaint]:
        for key in ("max_credit", "min_deposit", "max_deposit"):
            try:
                self._units(getattr(self, key))
            except UsageError as error:
                yield (key,), str(error)

    def _units(self, amount: int | str) -> int:
        if isinstance(amount, str) and len(self.assets) > 1:
            raise UsageError("must be a number of units, since the rail moves several assets")
        return units_of(amount, asset=self.assets[0])


class PaymentsTable(Table):
    """`[payments]`: how the node is paid; what for stands at its skills and models.

    Attributes:
        quotes_per_minute: How often one caller may ask for a price.
        sessions_per_minute: How often one caller may open sessions and start deposits.
        rails: On which money comes.
    """

    quotes_per_minute: PerMinute = DEFAULT_QUOTES_PER_MINUTE
    sessions_per_minute: PerMinute = DEFAULT_SESSIONS_PER_MINUTE
    rails: Annotated[tuple[RailTable, ...], Field(strict=False, min_length=1)]

    def payments(self) -> Payments:
        """Returns it as the server toolkit takes it."""
        return Payments(
            rails=tuple(rail.settings() for rail in self.rails),
            quotes_per_minute=self.quotes_per_minute,
            sessions_per_minute=self.sessions_per_minute,
        )
