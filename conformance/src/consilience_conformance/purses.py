"""Purses: what an operator lets a run spend, and what can be paid out of it.

Units of a `test` network are worth nothing and need no allowance. Of anything else no run spends more than it was
allowed, over all checks together; by default that is nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from consilience.v1 import node_pb2, tariff_pb2
from consilience_conformance.amounts import written
from consilience_conformance.needs import NotAllowedError, NotLentError
from consilience_conformance.rules.quotes import tariffs_of
from consilience_conformance.spending import Spending

HOLD_RAIL = "hold.v1"
"""The rail on which a judge pays: it needs no outside service."""
BANK_RAIL = "conformance.bank"
"""The rail whose bank the judge plays: nothing is paid for on it."""
TEST_NETWORK = "test"

_PAID_BY = (tariff_pb2.BACKING_CREDIT, tariff_pb2.BACKING_PREPAID)
"""What a tester can have stand behind a session by itself: its own word, or on a test network a grant of the node."""


@dataclass(slots=True, kw_only=True)
class Purse:
    """What may be spent of one asset.

    Attributes:
        asset: `USD/6`; empty: none but those of test networks.
        amount: In units of the asset.
        taken: What sessions may cost that were opened so far.
        promised: What vouchers and holds were signed for, by the id of the session.
        wanting: The checks that needed more than was left, or rest on one that did: how much each is known to need.
    """

    asset: str = ""
    amount: int = 0
    taken: int = 0
    promised: dict[bytes, int] = field(default_factory=dict)
    wanting: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """The allowance as `--max-spend` takes it; empty: nothing."""
        return written(self.amount, asset=self.asset) if self.asset else ""

    @property
    def spending(self) -> Spending | None:
        """What was spent so far; None: nothing may be."""
        if not self.asset:
            return None
        return Spending(
            asset=self.asset,
            allowed=self.amount,
            set_aside=self.taken,
            authorized=sum(self.promised.values()),
            left_out=dict(self.wanting),
        )

    def covers(self, asset: str, *, network: str) -> bool:
        """Tells whether an asset on a network may be spent at all."""
        return network == TEST_NETWORK or (asset == self.asset and self.amount > 0)

    def take(self, amount: int, *, asset: str, network: str) -> None:
        """Takes what a session may cost at most.

        Raises:
            NotLentError: Nothing may be spent of the asset. `NotAllowedError`: so much is not left.
        """
        if network == TEST_NETWORK:
            return
        needed = f"needs {written(amount, asset=asset)}"
        if not self.asset:
            raise NotLentError(f"{needed}, and no --max-spend allows it")
        if asset != self.asset:
            raise NotLentError(f"{needed}, and --max-spend '{self}' allows {self.asset} alone")
        if self.taken + amount > self.amount:
            raise NotAllowedError(f"{needed}, more than is left of --max-spend '{self}'", needed=amount)
        self.taken += amount

    def promise(self, amount: int, *, session_id: bytes, network: str) -> None:
        """Takes note of what is signed for in a session for which something was taken."""
        if network != TEST_NETWORK:
            self.promised[session_id] = max(amount, self.promised.get(session_id, 0))


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
            backings = tuple(one for one in paid_by if one in rail.backings and _can_stand_behind(one, rail=rail))
            moves = rail.id == HOLD_RAIL and tariff.asset in rail.assets
            if moves and backings and purse.covers(tariff.asset, network=rail.network):
                found.setdefault(tariff.asset, Offer(tariff=tariff, rail=rail, backings=backings))
    return tuple(found.values())


def _can_stand_behind(backing: int, *, rail: tariff_pb2.Rail) -> bool:
    """Tells whether a tester can have it stand behind a session: what is prepaid and of value, no node gives away."""
    if backing == tariff_pb2.BACKING_CREDIT:
        return rail.max_credit > 0
    return backing != tariff_pb2.BACKING_PREPAID or rail.network == TEST_NETWORK


def is_prepaid_in_value(card: node_pb2.NodeCard) -> bool:
    """Tells whether a card takes what is prepaid and of value, on the rail on which a judge pays."""
    return any(
        rail.id == HOLD_RAIL and rail.network != TEST_NETWORK and tariff_pb2.BACKING_PREPAID in rail.backings
        for rail in card.rails
    )


def why_unpaid(card: node_pb2.NodeCard, skill: node_pb2.Skill, *, purse: Purse) -> str:
    """Returns why a run does not pay for a skill out of a purse, for people."""
    costs = ", ".join(_prices(card, skill))
    if not costs:
        return f"{skill.id} is free"
    return f"{skill.id} is paid in {costs}; {_what_is_amiss(card, skill, purse=purse)}"


def _what_is_amiss(card: node_pb2.NodeCard, skill: node_pb2.Skill, *, purse: Purse) -> str:
    if not purse.asset:
        return (
            "a run spends nothing of value unless --max-spend 'AMOUNT ASSET' allows it, and pays by the rail "
            f"{HOLD_RAIL} alone"
        )
    assets = tuple(dict.fromkeys(tariff.asset for tariff in tariffs_of(card, skill)))
    if purse.asset not in assets:
        return f"--max-spend '{purse}' allows {purse.asset}, and not {' or '.join(assets)}"
    if not purse.amount:
        return f"--max-spend '{purse}' allows nothing"
    return f"a run pays by the rail {HOLD_RAIL} alone, and there on credit"


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


def bank_rail(card: node_pb2.NodeCard) -> tariff_pb2.Rail | None:
    """Returns the rail of a card whose bank the judge plays, or None."""
    return next((rail for rail in card.rails if rail.id == BANK_RAIL), None)
