"""Inquiries: asks a rail, never for longer than its time, and takes whatever goes wrong for what it is: nothing known.

A rail is code of others over a service of others. What it does not say in time nobody knows (PAY-RAIL-001); a defect of
it is logged, stops no other rail, and is asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from consilience.errors import DepositInvalidError
from consilience.payments import TransferStatus
from consilience.rails.contract import RailSilentError, Standing, StartedDeposit
from consilience.server.faults import log_fault

T = TypeVar("T")

REFERENCE_BYTES = 32
MAX_RAIL_REF_BYTES = 256

_LOGGER = logging.getLogger(__name__)


async def asked(call: Coroutine[Any, Any, T], *, rail_id: str, seconds: float) -> T:
    """Returns what a rail says.

    Args:
        call: The call of the rail. It is cancelled when its time is over, and not waited for after that.
        rail_id: For the log.
        seconds: How long it may take.

    Raises:
        DepositInvalidError: As the rail raised it.
        RailSilentError: The rail raised it, or took longer, or raised anything else.
    """
    task = asyncio.ensure_future(call)
    task.add_done_callback(_overlook)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    if not task.done() or task.cancelled():
        _LOGGER.warning("the rail %s did not answer within %g s", rail_id, seconds)
        raise RailSilentError(f"the rail {rail_id} does not answer")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, DepositInvalidError):
        raise error
    if isinstance(error, RailSilentError):
        _LOGGER.warning("the rail %s does not answer: %s", rail_id, error)
        raise error
    log_fault(_LOGGER, f"the rail {rail_id} failed", error=error)
    raise RailSilentError(f"the rail {rail_id} failed") from error


def check_ref(started: StartedDeposit, *, rail_id: str) -> None:
    """Checks that a rail says what it knows a deposit by.

    Raises:
        RailSilentError: It does not.
    """
    if not 0 < len(started.rail_ref) <= MAX_RAIL_REF_BYTES:
        _LOGGER.error("the rail %s does not say what it knows a deposit by", rail_id)
        raise RailSilentError(f"the rail {rail_id} started nothing")


def credited_amount(standing: Standing, *, rail_id: str) -> int:
    """Returns the amount of a deposit that a rail says has come.

    Raises:
        RailSilentError: It names no amount, or nothing that proves it: that credits nothing.
    """
    if standing.amount <= 0 or len(standing.reference) != REFERENCE_BYTES:
        _LOGGER.error("the rail %s says that a deposit has come, and not how much or by what", rail_id)
        raise RailSilentError(f"the rail {rail_id} proves nothing")
    return standing.amount


def has_ended(standing: Standing) -> bool:
    """Tells whether a rail knows how a transfer ended."""
    return standing.status in (TransferStatus.SUCCEEDED, TransferStatus.FAILED)


def _overlook(task: asyncio.Future[Any]) -> None:
    """Takes note of how a call ended that nobody waits for any more, so that the loop does not complain of it."""
    if not task.cancelled():
        task.exception()
