"""Tickets (spec section 4.1): who may review an answer, and what is attested of one that was paid for."""

from __future__ import annotations

from collections.abc import Iterator

from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.payers import Payer
from consilience_conformance.rules.logs import complete
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.rules.tickets import ATTESTATION, TICKET, attestation_findings, ticket_findings
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

COMMITMENT_BYTES = 32


async def _ask_for_tickets(stage: Stage) -> None:
    wanted = stage.ask(reviewer_commitment=stage.random.randbytes(COMMITMENT_BYTES))
    await stage.send("with-commitment", wanted)
    await stage.send("without-commitment", stage.ask())


def _judge_tickets(seen: Transcript) -> Iterator[Finding]:
    for name in ("with-commitment", "without-commitment"):
        yield from was_accepted(seen[name], requirement="REV-TKT-001")
        yield from ticket_findings(seen, seen[name])
        yield from attestation_findings(seen, seen[name])


async def _pay_for_tickets(stage: Stage) -> None:
    payer = Payer(stage)
    price, account = await payer.deal()
    for name, commitment in (("with-ticket", stage.random.randbytes(COMMITMENT_BYTES)), ("without-ticket", b"")):
        ceiling = min(price.max_charge, account.amount // 2)
        ask = payer.ask(price=price, account=account, max_charge=ceiling, reviewer_commitment=commitment)
        await payer.send(name, ask, price=price, voucher=payer.voucher(account, account.amount))


def _judge_attestations(seen: Transcript) -> Iterator[Finding]:
    for name in ("with-ticket", "without-ticket"):
        yield from was_accepted(seen[name], requirement="REV-PAY-001")
        yield from complete(seen[name], requirement="REV-PAY-001")
        yield from ticket_findings(seen, seen[name])
        yield from attestation_findings(seen, seen[name])


CHECKS = (
    Check(
        name="a-ticket-comes-to-those-who-commit",
        title="Accepted carries a ticket for this ask if that commits to a reviewer, and none otherwise.",
        requirements=(*TICKET, "REV-PAY-001"),
        drive=_ask_for_tickets,
        judge=_judge_tickets,
    ),
    Check(
        name="a-paid-answer-with-a-ticket-is-attested",
        title="The Final of an answer that has a ticket and is charged attests as many digits as the charge has.",
        requirements=tuple(dict.fromkeys((*TICKET, *ATTESTATION, "STRM-LOG-001", "STRM-LOG-002", "STRM-LOG-003"))),
        drive=_pay_for_tickets,
        judge=_judge_attestations,
        after=("a-paid-ask-is-answered",),
        needs=Needs.PRICE,
        profile="pay",
    ),
)
