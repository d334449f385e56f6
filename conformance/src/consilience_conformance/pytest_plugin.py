"""The pytest plugin: each check of a node is a test, for those who want it so.

    pytest --consilience-node 127.0.0.1:7341

One run judges them all; a test reports what that run found. `-k` selects checks, and what they rest on runs with them.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options, which mean what they mean to `consilience-conformance run`."""
    group = parser.getgroup("consilience-conformance", "judging a node of the Consilience protocol")
    group.addoption("--consilience-node", metavar="ADDRESS", help="Judge this node; each check is a test.")
    group.addoption("--consilience-skill", metavar="ID", default="", help="Ask this skill live.")
    group.addoption("--consilience-grant", metavar="FILE", type=Path, help="Opens scripted mode.")
    group.addoption("--consilience-tester-key", metavar="FILE", type=Path, help="The key file of the tester.")
    group.addoption("--consilience-restart", metavar="CMD", default="", help="Restarts the node.")
    group.addoption("--consilience-replica", metavar="ADDRESS", default="", help="A second replica of the node.")
    group.addoption("--consilience-feed", metavar="HOST:PORT", default="", help="Where the node follows the judge.")
    group.addoption("--consilience-bank", metavar="HOST:PORT", default="", help="Where the judge plays the bank.")
    group.addoption("--consilience-seed", metavar="N", type=int, default=0, help="Of all chance.")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Adds a test for each check, before others deselect tests."""
    if config.getoption("--consilience-node"):
        from consilience_conformance.pytest_items import check_items  # noqa: PLC0415 - costs nothing where it is not used

        items.extend(check_items(session))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Ends a session in which no check was judged as one without tests: skipped is no success of a node."""
    if exitstatus == pytest.ExitCode.OK and _nothing_was_judged(session.config, session.items):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def _nothing_was_judged(config: pytest.Config, items: list[pytest.Item]) -> bool:
    if not config.getoption("--consilience-node"):
        return False
    from consilience_conformance.pytest_items import nothing_was_judged  # noqa: PLC0415 - as above

    return nothing_was_judged(items)
