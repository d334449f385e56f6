"""Rules of the bank that the judge plays (spec section 7.3): what its own books say that a node had it do.

The books stand in the notes of a transcript, as `lines` writes them: one line for each name under which the node has
started a transfer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from consilience.v1 import payment_pb2
from consilience_conformance.payment_methods import CONFIRM
from consilience_conformance.rules.payments import differs, lacks, response_of
from consilience_conformance.transcripts import Ended, Exchange, JsonValue, Transcript
from consilience_conformance.verdicts import Finding

DEPOSIT, PAYOUT = "deposit", "payout"
"""What a line says of where the money goes."""

SUCCEEDED = payment_pb2.TRANSFER_STATUS_SUCCEEDED
FAILED = payment_pb2.TRANSFER_STATUS_FAILED
PENDING = payment_pb2.TRANSFER_STATUS_PENDING


def line(*, direction: str, transfer_id: bytes, moved: int) -> JsonValue:
    """Returns a line of the books for the notes of a transcript.

    Args:
        direction: DEPOSIT or PAYOUT.
        transfer_id: The id of the deposit or the withdrawal.
        moved: How much has really moved, in units of the asset.
    """
    return {"direction": direction, "transfer_id": transfer_id.hex(), "moved": moved}


def status_is(exchange: Exchange, *statuses: int, requirement: str) -> Iterator[Finding]:
    """Yields that ConfirmDeposit or Withdraw does not tell one of these statuses."""
    response: payment_pb2.ConfirmDepositResponse | payment_pb2.WithdrawResponse | None
    if exchange.method == CONFIRM:
        response = response_of(exchange, payment_pb2.ConfirmDepositResponse)
    else:
        response = response_of(exchange, payment_pb2.WithdrawResponse)
    if response is None:
        yield lacks(exchange, "status of the transfer", requirement=requirement)
    elif response.status not in statuses:
        yield differs(
            requirement,
            f"{exchange.name} tells another status",
            expected=" or ".join(map(_named, statuses)),
            got=_named(response.status),
            exchange=exchange.name,
        )


def in_time(exchange: Exchange) -> Iterator[Finding]:
    """Yields that a call waited for the bank for as long as the judge waits for a node (PAY-BANK-003)."""
    if exchange.ended is Ended.SILENCE:
        yield Finding(
            requirement="PAY-BANK-003",
            message=f"{exchange.name} waited for the bank without end",
            expected="an answer within 5 s",
            got="silence",
            exchange=exchange.name,
        )


def one_name_each(seen: Transcript, books: str) -> Iterator[Finding]:
    """Yields which transfers the node has started under several names (PAY-BANK-001).

    Args:
        seen: The transcript.
        books: The name of the note that holds the books.
    """
    names = Counter((one["direction"], one["transfer_id"]) for one in _lines(seen, books))
    for (direction, transfer_id), count in names.items():
        if count > 1:
            yield Finding(
                requirement="PAY-BANK-001",
                message=f"one {direction} was started under several names",
                expected="one name",
                got=f"{count} names for {transfer_id}",
            )


def moved_is(seen: Transcript, books: str, direction: str, *, expected: int, requirement: str) -> Iterator[Finding]:
    """Yields that another amount has really moved.

    Args:
        seen: The transcript.
        books: The name of the note that holds the books.
        direction: DEPOSIT or PAYOUT.
        expected: In units of the asset.
        requirement: The rule that wants it.
    """
    moved = sum(int(str(one["moved"])) for one in _lines(seen, books) if one["direction"] == direction)
    if moved != expected:
        yield Finding(
            requirement=requirement,
            message=f"the bank has moved another amount by {direction}",
            expected=str(expected),
            got=str(moved),
        )


def _lines(seen: Transcript, books: str) -> list[dict[str, JsonValue]]:
    found = seen.notes[books]
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _named(status: int) -> str:
    value = payment_pb2.TransferStatus.DESCRIPTOR.values_by_number.get(status)
    return value.name.removeprefix("TRANSFER_STATUS_") if value is not None else str(status)
