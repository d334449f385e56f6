"""The list of known failures: what fails today, for which reason, where that is tracked, and until when it may.

One check a line, in TOML; `message` is how each of its findings begins, or a list of such beginnings::

    ask = { message = "the answer has another final_sequence", issue = "https://…/12", expires = 2026-12-31 }

A list that hides nothing: an entry whose check passes, fails otherwise, is no check, or whose day has passed, is stale,
and the run fails by it. So it does by what rests on a check that fails, listed or not: nobody has judged that.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from consilience_conformance.verdicts import CheckResult, RunResult, Verdict

LEAST_MESSAGE_CHARACTERS = 12
"""A shorter beginning would fit findings that nobody has seen yet."""

_FIELDS = {"message", "issue", "expires"}
_EXAMPLE = 'ask = { message = "the answer has another", issue = "https://…/12", expires = 2026-12-31 }'


class KnownFailingError(Exception):
    """The list cannot be read; the text says where it is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    """An entry of the list.

    Attributes:
        check: Name of the check.
        messages: How its findings begin: each one by one of these.
        issue: Where it is tracked.
        expires: The last day on which the entry holds.
    """

    check: str
    messages: tuple[str, ...]
    issue: str
    expires: date


def read_known_failing(file: Path) -> tuple[KnownFailure, ...]:
    """Reads a list.

    Raises:
        KnownFailingError: It cannot be read, or an entry is incomplete.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise KnownFailingError(f"the list {file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KnownFailingError(f"the list {file} is no TOML: {error}. A line of it reads: {_EXAMPLE}") from error
    return tuple(_entry(file, name=name, value=value) for name, value in content.items())


def _entry(file: Path, *, name: str, value: Any) -> KnownFailure:  # noqa: ANN401 - whatever TOML holds
    def fault(what: str) -> KnownFailingError:
        return KnownFailingError(f"the list {file}: the entry {name} {what}. It is to read like: {_EXAMPLE}")

    if not isinstance(value, dict) or set(value) != _FIELDS:
        raise fault("has to have message, issue and expires, and nothing else")
    messages = value["message"] if isinstance(value["message"], list) else [value["message"]]
    if not messages or not all(isinstance(message, str) and message for message in messages):
        raise fault("has no message by which its findings begin")
    if short := [message for message in messages if len(message) < LEAST_MESSAGE_CHARACTERS]:
        raise fault(
            f"has the message {short[0]!r}, which would fit too many findings: write {LEAST_MESSAGE_CHARACTERS} "
            "characters of it or more"
        )
    if not isinstance(value["issue"], str) or not value["issue"]:
        raise fault("names no issue")
    if type(value["expires"]) is not date:
        raise fault("has no date in expires")
    return KnownFailure(check=name, messages=tuple(messages), issue=value["issue"], expires=value["expires"])


def with_known_failures(
    run: RunResult, *, known: Sequence[KnownFailure], checks: Collection[str], today: date
) -> RunResult:
    """Returns a run as a list of known failures lets it be seen.

    A check that fails as its entry says is KNOWN_FAILING. What rests on it stays untestable, so that an entry excuses
    one check and never what nobody saw. A check that the run left out, or could not judge, leaves its entry alone.

    Args:
        run: As it was.
        known: The list.
        checks: Names of all checks of the suite, whether they ran or not.
        today: Decides what has expired.
    """
    entries = {entry.check: entry for entry in known}
    results = [
        _seen(result, entry=entries[result.check], today=today) if result.check in entries else result
        for result in run.results
    ]
    ran = {result.check for result in run.results}
    left = [entry for entry in known if entry.check not in ran]
    stale = [result for entry in left if (result := _of_no_check(entry, checks=checks, today=today))]
    return replace(run, results=(*results, *stale))


def _seen(result: CheckResult, *, entry: KnownFailure, today: date) -> CheckResult:
    tracked = f"tracked in {entry.issue}"
    if today > entry.expires:
        return _stale(result, f"its entry in the list of known failures expired on {entry.expires}; {tracked}")
    if result.verdict in {Verdict.PASS, Verdict.WARN}:
        return _stale(result, f"it does not fail any more: take its entry out of the list; {tracked}")
    if result.verdict is not Verdict.FAIL:
        return result
    others = [one.message for one in result.findings if not one.message.startswith(entry.messages)]
    if others:
        return _stale(result, f"it fails otherwise than the list of known failures says: {others[0]}; {tracked}")
    because = f"known to fail until {entry.expires}, {tracked}"
    return replace(result, verdict=Verdict.KNOWN_FAILING, because=because)


def _stale(result: CheckResult, because: str) -> CheckResult:
    return replace(result, verdict=Verdict.STALE, because=because)


def _of_no_check(entry: KnownFailure, *, checks: Collection[str], today: date) -> CheckResult | None:
    """Returns what is said of an entry whose check did not run, or None: nothing."""
    if entry.check not in checks:
        near = get_close_matches(entry.check, list(checks), n=1)
        because = f"there is no check {entry.check}" + (f"; did you mean {near[0]}?" if near else "")
    elif today > entry.expires:
        because = f"its entry expired on {entry.expires}; tracked in {entry.issue}"
    else:
        return None
    title = "An entry of the list of known failures."
    return CheckResult(check=entry.check, title=title, requirements=(), verdict=Verdict.STALE, because=because)
