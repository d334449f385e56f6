"""Cheats: a client buys of a payee, is cheated once, and may buy again; it is judged by what it signs (chapter 3).

What a client says of a cheat is its own affair, and so is whether it deals with that node ever again.
"""

from __future__ import annotations

from collections.abc import Iterator

from consilience.v1 import tariff_pb2
from consilience_conformance.client_side.checks import GIVE_UP, PAY, ClientCheck
from consilience_conformance.client_side.dealings import HONEST, Dealing
from consilience_conformance.client_side.judging import given_out
from consilience_conformance.client_side.spending import acknowledged_rightly, told_rightly, within_bounds
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

PER_ASK = 500
"""What the user lets each ask cost, in units of the asset: well above what the text of a payee costs."""


def paid(seen: Transcript, name: str, *, requirement: str) -> Iterator[Finding]:
    """Yields that a right answer, rightly charged, is not given out, or told otherwise than it was charged."""
    yield from given_out(seen, name, requirement=requirement)
    yield from told_rightly(seen, name, requirement=requirement)


def signed_rightly(seen: Transcript, *, requirement: str) -> Iterator[Finding]:
    """Yields that a voucher goes too far, or that a receipt is acknowledged that is not right."""
    yield from within_bounds(seen, requirement=requirement)
    yield from acknowledged_rightly(seen, requirement=requirement)


def cheated(
    name: str,
    *,
    title: str,
    requirement: str,
    dealing: Dealing,
    tariff: tariff_pb2.Tariff | None = None,
    give_up: bool = False,
) -> ClientCheck:
    """Returns the check that a payee gets no more by cheating than its client had checked.

    Args:
        name: Of the check.
        title: What a client that passes does.
        requirement: What is broken otherwise.
        dealing: The cheat.
        tariff: What is paid for; None: by the byte.
        give_up: The user leaves the answer in which it is cheated.
    """

    async def drive(stage: ClientStage) -> None:
        await stage.open(per_ask=PER_ASK)
        payee, other = [await (stage.payee() if tariff is None else stage.payee(tariff=tariff)) for _ in range(2)]
        await stage.ask("before", payee)
        payee.dealing = dealing
        await stage.ask("defect", payee, give_up=give_up)
        payee.dealing = HONEST
        # Whoever was cheated may have done with the node; if not, what it signs next shows what it takes for spent.
        await stage.ask("again", payee)
        await stage.ask("after", other)
        # A client that is closed brings what it does behind its user's back to its end.
        await stage.open()

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from paid(seen, "before", requirement=requirement)
        yield from signed_rightly(seen, requirement=requirement)
        yield from paid(seen, "after", requirement=requirement)

    needs = (PAY, GIVE_UP) if give_up else (PAY,)
    return ClientCheck(name=name, title=title, requirements=(requirement,), drive=drive, judge=judge, needs=needs)
