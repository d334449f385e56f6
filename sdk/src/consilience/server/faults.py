"""Faults: how a defect is logged without a word of what was asked or answered.

The message of an exception often quotes what could not be read, which may be the question itself. So a fault is logged
by its kind and the lines of code that it came through; the message follows at level DEBUG, which nobody sees unasked.
"""

from __future__ import annotations

import logging
import traceback

from grpc import aio

_LIBRARY_LOGGER = "grpc._cython.cygrpc"


def log_fault(logger: logging.Logger, what: str, *, error: BaseException) -> None:
    """Logs a defect.

    Args:
        logger: Of the module that noticed it.
        what: What could not be done, without text of an ask.
        error: What was raised.
    """
    lines = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
    logger.error("%s: %s\n%s", what, type(error).__name__, lines.rstrip())
    logger.debug("%s", what, exc_info=error)


def overlook_vanished_callers() -> None:
    """Keeps out of the log that an answer could not be sent to a caller that had just gone.

    The library sends what a handler returns, and where that fails it logs a trace: no code of ours is on the way that
    could take the exception. A caller that shuts its window and goes away could fill the log.
    """
    logging.getLogger(_LIBRARY_LOGGER).addFilter(_is_no_failed_send)  # once, however often it is called


def _is_no_failed_send(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], aio.InternalError))
