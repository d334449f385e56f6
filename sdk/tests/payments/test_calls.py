"""What the constraints of calls are is held against the protos in `sdk/tests/_wire/test_payment_constraints.py`."""

from dataclasses import replace
from typing import Any

import pytest

from consilience import payments
from consilience.errors import FieldInvalidError, FieldViolations
from consilience.v1 import payment_pb2
from sdk.tests._wire.chains import make_chain
from sdk.tests._wire.payments import full_calls

CALLS = full_calls(make_chain())


def test_every_method_of_the_service_has_its_name_here() -> None:
    service = payment_pb2.DESCRIPTOR.services_by_name["PaymentService"]
    named = {value for name, value in vars(payments).items() if name.endswith("_METHOD")}
    assert named == {f"{service.full_name}/{method.name}" for method in service.methods}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_in_order_is_taken(name: str) -> None:
    payments.check_payment_call(CALLS[name])


@pytest.mark.parametrize("name", CALLS)
def test_the_header_is_checked_in_every_call(name: str) -> None:
    call: Any = CALLS[name]
    with pytest.raises(FieldInvalidError, match=r"header\.request_id"):
        payments.check_payment_call(replace(call, header=replace(call.header, request_id=b"short")))


@pytest.mark.parametrize(("deposit_id", "deposit"), [(b"", 5), (b"d" * 16, 0), (b"d" * 16, -1), (b"d" * 17, 5)])
def test_a_deposit_has_an_id_and_an_amount_or_neither(deposit_id: bytes, deposit: int) -> None:
    call: Any = CALLS["OpenSessionCall"]
    payments.check_payment_call(replace(call, deposit_id=b"", deposit=0))
    with pytest.raises(FieldInvalidError):
        payments.check_payment_call(replace(call, deposit_id=deposit_id, deposit=deposit))


def test_all_that_is_wrong_is_told_at_once() -> None:
    call: Any = CALLS["WithdrawCall"]
    with pytest.raises(FieldInvalidError) as caught:
        payments.check_payment_call(replace(call, session_id=b"", withdrawal_id=b"", amount=0))
    assert isinstance(caught.value.detail, FieldViolations)
    assert [each.field for each in caught.value.detail.violations] == ["session_id", "withdrawal_id", "amount"]
