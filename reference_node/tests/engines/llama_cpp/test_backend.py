from __future__ import annotations

import logging

import pytest

from consilience_node.engines.llama_cpp.backend import _LogRouter

INFO, WARNING, ERROR, CONTINUED = 2, 3, 4, 5


def test_only_warnings_and_errors_reach_the_log_and_as_whole_lines(caplog: pytest.LogCaptureFixture) -> None:
    route = _LogRouter()
    for level, text in (
        (INFO, b"loading\n"),
        (CONTINUED, b"still loading\n"),
        (WARNING, b"odd "),
        (CONTINUED, b"token\n"),
        (ERROR, b"broken \xff\n"),
    ):
        route(level, text, None)
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "odd token"),
        (logging.ERROR, "broken \ufffd"),
    ]
