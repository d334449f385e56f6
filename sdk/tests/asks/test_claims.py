"""What a node states in an event is held to the rules of ask.proto; the answer's own rules by the tests of clients."""

from datetime import UTC, datetime

import pytest

from consilience.asks import PaymentNeeded, check_claims
from consilience.errors import FieldInvalidError

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def test_a_total_that_a_voucher_has_to_reach_is_not_negative() -> None:
    check_claims(PaymentNeeded(required_cumulative=0, stop_time=NOW))
    with pytest.raises(FieldInvalidError, match=r"payment_needed\.required_cumulative"):
        check_claims(PaymentNeeded(required_cumulative=-1, stop_time=NOW))
