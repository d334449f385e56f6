"""Purses: what an operator lets a run spend, and what can be paid out of it.

Units of a `test` network are worth nothing and need no allowance. Of anything else no run spends more than it was
allowed, over all checks together; by default that is nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from consilience.v1 import node_pb2, tariff_pb2
from consilience_conformance.checks import UntestableError
from consilience_conformance.rules.quotes import tariffs_of

HOLD_RAIL = "hold.v1"
"""The rail on which a judge pays: it needs no outside service."""
TEST_NETWORK = "test"

_PAID_BY = (tariff_pb2.BACKING_CREDIT, tariff_pb2.BACKING_PREPAID)
"""What every tester can have stand behind a session: its own word, or a grant of the node."""


@dataclass(slots=True, kw_only=True)
class Purse:
    """What may be spent of one asset.

    Attributes:
        asset: `USD/6`; empty: none but those of test networks.
        amount: In units of the asset; what is left of it.
    """

    asset: str = ""
    amount: int = 0

    def __str__(self) -> str:
        """The allowance as `--max-spend` takes it; empty: nothing."""
        return f"{self.amount} {self.asset}" if self.asset else ""

    def covers(self, asset: str, *, network: str) -> bool:
        """Tells whether an asset on a network may be spent at all."""
        return network == TEST_NETWORK or (asset == self.asset and self.amount > 0)

    def take(self, amount: int, *, asset: str, network: str) -> None:
        """Takes what a session may cost at most.

        Raises:
            UntestableError: So much is not left.
        """
        if network == TEST_NETWORK:
            return
        if asset != self.asset or amount > self.amount:
            left = f"{self.amount} {self.asset}" if self.asset else "nothing"
            raise UntestableError(f"needs {amount} {asset}, and --max-spend leaves {left}")
        self.amount -= amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A way to pay for a skill.

    Attributes:
        tariff: As the card has it.
        rail: On which the session is.
        backings: What may stand behind it, of those that a tester can bring about.
    """

    tariff: tariff_pb2.Tariff
    rail: tariff_pb2.Rail
    backings: tuple[int, ...]


def offers(
    card: node_pb2.NodeCard, skill: node_pb2.Skill, *, purse: Purse, paid_by: Collection[int] = _PAID_BY
) -> tuple[Offer, ...]:
    """Returns the ways in which a run may pay for a skill, the preferred tariff first, each asset once.

    Args:
        card: Of the node.
        skill: As the card lists it.
        purse: What may be spent.
        paid_by: What can be brought to stand behind a session.
    """
    found: dict[str, Offer] = {}
    for tariff in tariffs_of(card, skill):
        for rail in card.rails:
            backings = tuple(one for one in paid_by if one in rail.backings and _is_open(rail, one))
            moves = rail.id == HOLD_RAIL and tariff.asset in rail.assets
            if moves and backings and purse.covers(tariff.asset, network=rail.network):
                found.setdefault(tariff.asset, Offer(tariff=tariff, rail=rail, backings=backings))
    return tuple(found.values())


def _is_open(rail: tariff_pb2.Rail, backing: int) -> bool:
    return backing != tariff_pb2.BACKING_CREDIT or rail.max_credit > 0


def why_unpaid(card: node_pb2.NodeCard, skill: node_pb2.Skill) -> str:
    """Returns why a run does not pay for a skill, for people."""
    costs = ", ".join(_prices(card, skill))
    if not costs:
        return f"{skill.id} is free"
    return (
        f"{skill.id} is paid in {costs}; a run spends nothing of value unless --max-spend 'AMOUNT ASSET' allows it, "
        f"and pays by the rail {HOLD_RAIL} alone"
    )


def _prices(card: node_pb2.NodeCard, skill: node_pb2.Skill) -> Iterator[str]:
    for tariff in tariffs_of(card, skill):
        rails = [f"{rail.id} on {rail.network}" for rail in card.rails if tariff.asset in rail.assets]
        yield f"{tariff.asset} by {' or '.join(rails) or 'no rail of the card'}"


def escrow_issuers(card: node_pb2.NodeCard) -> tuple[bytes, ...]:
    """Returns the keys whose holds a card takes in escrow, on the rail on which a judge pays."""
    return tuple(
        issuer
        for rail in card.rails
        if rail.id == HOLD_RAIL and tariff_pb2.BACKING_ESCROW in rail.backings
        for issuer in rail.issuers
    )
