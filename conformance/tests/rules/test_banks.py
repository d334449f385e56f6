"""The books of the bank tell what a node had it do; a rule that reads them knows nothing else."""

import pytest
from google.protobuf.message import Message

from consilience.v1 import payment_pb2
from consilience_conformance.payment_methods import CONFIRM, WITHDRAW
from consilience_conformance.rules.banks import (
    DEPOSIT,
    PAYOUT,
    PENDING,
    SUCCEEDED,
    in_time,
    line,
    moved_is,
    one_name_each,
    status_is,
)
from consilience_conformance.transcripts import Ended, Exchange, Response, Transcript


def seen(*lines: object) -> Transcript:
    return Transcript(check="some-check", notes={"books": list(lines)})  # type: ignore[arg-type]


ONE, OTHER = b"\x01" * 16, b"\x02" * 16


def test_one_transfer_under_one_name_is_right() -> None:
    books = seen(
        line(direction=DEPOSIT, transfer_id=ONE, moved=5),
        line(direction=PAYOUT, transfer_id=ONE, moved=3),
        line(direction=PAYOUT, transfer_id=OTHER, moved=2),
    )
    assert [*one_name_each(books, "books")] == []
    assert [*moved_is(books, "books", PAYOUT, expected=5, requirement="PAY-WDR-002")] == []


def test_a_transfer_under_two_names_is_found_and_so_is_what_it_moved() -> None:
    books = seen(*(line(direction=PAYOUT, transfer_id=ONE, moved=3) for _ in range(2)))
    (named,) = one_name_each(books, "books")
    assert (named.requirement, named.got) == ("PAY-BANK-001", f"2 names for {ONE.hex()}")
    (moved,) = moved_is(books, "books", PAYOUT, expected=3, requirement="PAY-WDR-002")
    assert (moved.requirement, moved.expected, moved.got) == ("PAY-WDR-002", "3", "6")


def told(method: str, response: Message | None, *, ended: Ended = Ended.STATUS) -> Exchange:
    data = () if response is None else (Response(at=0.0, data=response.SerializeToString()),)
    return Exchange(
        name="look", method=method, request=b"", began=0.0, ended_at=0.0, ended=ended, responses=data, code="OK"
    )


@pytest.mark.parametrize(
    ("method", "response"),
    [
        (CONFIRM, payment_pb2.ConfirmDepositResponse(status=PENDING)),
        (WITHDRAW, payment_pb2.WithdrawResponse(status=PENDING)),
    ],
)
def test_a_status_is_read_of_either_method(method: str, response: Message) -> None:
    assert [*status_is(told(method, response), PENDING, requirement="PAY-RAIL-001")] == []
    (found,) = status_is(told(method, response), SUCCEEDED, requirement="PAY-RAIL-001")
    assert (found.expected, found.got) == ("SUCCEEDED", "PENDING")


def test_a_call_that_brings_no_status_and_one_that_is_silent_are_found() -> None:
    (lacking,) = status_is(told(CONFIRM, None), PENDING, requirement="PAY-RAIL-001")
    assert lacking.message == "look brought no status of the transfer"
    assert [*in_time(told(CONFIRM, None))] == []
    (silent,) = in_time(told(CONFIRM, None, ended=Ended.SILENCE))
    assert silent.requirement == "PAY-BANK-003"
