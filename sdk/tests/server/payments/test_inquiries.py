"""What a rail does not say is nothing known; a rail that says so itself has no defect, and none is logged."""

import logging

import pytest

from consilience.rails.contract import RailSilentError
from consilience.server.payments import inquiries
from consilience.server.payments.inquiries import asked


def logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Returns what was logged of inquiries: gRPC may complain meanwhile of a loop of another test, which has ended."""
    return [record for record in caplog.records if record.name == inquiries.__name__]


async def away() -> None:
    raise RailSilentError("the bank is away")


async def defective() -> None:
    raise ZeroDivisionError


async def test_a_rail_that_says_that_it_does_not_answer_leaves_no_stack_trace(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RailSilentError, match="the bank is away"):
        await asked(away(), rail_id="sim.v1", seconds=5)
    (record,) = logged(caplog)
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)
    assert record.getMessage() == "the rail sim.v1 does not answer: the bank is away"


async def test_a_rail_with_a_defect_is_silent_as_well_and_the_defect_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(RailSilentError, match=r"the rail sim\.v1 failed"):
        await asked(defective(), rail_id="sim.v1", seconds=5)
    (record,) = logged(caplog)
    assert record.levelno == logging.ERROR
