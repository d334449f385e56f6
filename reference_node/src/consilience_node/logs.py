"""What the node writes about itself: one event per line on standard error, and never a question or an answer.

Every event has a name and fields; what an asker wrote and what a model said are in none of them, at any level. The
libraries beneath write through the same pipe, from warnings upwards::

    configure_logs(format="json", level="info")
    structlog.get_logger().info("serving", address="cn1…@127.0.0.1:7341")
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import Processor

LogFormat = Literal["auto", "console", "json"]

_OURS = ("consilience", "consilience_node")


def configure_logs(*, format: LogFormat, level: str) -> None:  # noqa: A002 - the key of the configuration
    """Sends every event of this process to standard error.

    Args:
        format: For a person, or one JSON object per line; "auto" is for a person exactly where one watches.
        level: The least important kind of our own events that is written.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(format)],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _renderers(format: LogFormat) -> list[Processor]:  # noqa: A002
    for_person = format == "console" or (format == "auto" and sys.stderr.isatty())
    if for_person:
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
