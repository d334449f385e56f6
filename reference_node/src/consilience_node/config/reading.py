"""Reads `node.toml`, and says of every error where it stands: file, line, key, what is wrong.

Nothing that the file names is opened yet. An error looks like this::

    node.toml:12: skills[0].model: unknown model "x"; known: smollm2
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from consilience.server.registry import without_password
from consilience_node.config.contradictions import Problem, contradictions
from consilience_node.config.lines import KeyPath, line_of, lines_of_keys
from consilience_node.config.payments import RAIL_TABLES
from consilience_node.config.settings import MODEL_TABLES, Config

_KINDS = {"engine": MODEL_TABLES, "rail": RAIL_TABLES}
"""The tables of which there are several kinds, by the key that says which one it is."""
_TABLES = {name: table for tables in _KINDS.values() for name, table in tables.items()}

_SHOWN_CHARACTERS = 60
_TOML_ERROR = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)", re.DOTALL)


class ConfigError(Exception):
    """The configuration cannot be used. The message has one line for each thing to repair."""


def read_config(path: Path) -> Config:
    """Reads and checks a configuration file; nothing that it names is opened.

    Raises:
        ConfigError: It cannot be read, is no TOML, or says what cannot be; all of it is listed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {path}: it is no text in UTF-8") from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_toml_complaint(str(error), path=path, text=text)) from error
    try:
        config = Config.model_validate(tables, context={"folder": path.absolute().parent})
        problems = list(contradictions(config))
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [_problem(details, tables=tables) for details in found if not _is_echo(details, of=found)]
    if problems:
        lines = lines_of_keys(text)
        raise ConfigError("\n".join(_complaint(problem, path=path, lines=lines) for problem in problems))
    return config


def _toml_complaint(message: str, *, path: Path, text: str) -> str:
    found = _TOML_ERROR.fullmatch(message)
    what = found["what"] if found else message
    line = (found and found["line"]) or str(len(text.splitlines()))
    return f"{path}:{line}: not TOML: {what[:1].lower()}{what[1:]}"


def _complaint(problem: Problem, *, path: Path, lines: Mapping[KeyPath, int]) -> str:
    line = line_of(problem.path, lines=lines)
    place = str(path) if line is None else f"{path}:{line}"
    return f"{place}: {problem.key}: {problem.what}"


def _is_echo(details: ErrorDetails, *, of: Sequence[ErrorDetails]) -> bool:
    """Tells whether a list is called too short because what is wrong in it was left out of it."""
    place = details["loc"]
    inside = any(other["loc"][: len(place)] == place != other["loc"] for other in of)
    return details["type"] == "too_short" and inside


def _problem(details: ErrorDetails, *, tables: dict[str, Any]) -> Problem:
    path = _written_path(details["loc"], tables=tables)
    match details["type"]:
        case "extra_forbidden":
            what = f"unknown key; known: {', '.join(_table_at(details['loc'][:-1]).model_fields)}"
        case "missing":
            what = "is missing"
        case "union_tag_not_found":
            tag, known = _tag(details)
            path, what = (*path, tag), f"is missing; known: {known}"
        case "union_tag_invalid":
            tag, known = _tag(details)
            path, what = (*path, tag), f"unknown {tag}; known: {known}"
        case "too_short":
            what = "must not be empty"
        case "string_pattern_mismatch":
            what = f"must match {details['ctx']['pattern']}, not {_shown(details['input'])}"
        case _:
            what = details["msg"].removeprefix("Value error, ")
            what = f"{what[:1].lower()}{what[1:]}, not {_shown(details['input'])}"
    return Problem(path=path, what=what)


def _tag(details: ErrorDetails) -> tuple[str, str]:
    """Returns the key that says which kind of table one is, and what it may say."""
    tag = str(details["ctx"]["discriminator"]).strip("'")
    return tag, ", ".join(_KINDS[tag])


def _written_path(location: tuple[int | str, ...], *, tables: dict[str, Any]) -> KeyPath:
    """Returns a pydantic location without what is not in the file: it names the kind between table and key."""
    path: KeyPath = ()
    value: Any = tables
    for index, part in enumerate(location):
        held = isinstance(value, dict) and part in value
        listed = isinstance(value, list) and isinstance(part, int)
        if held or listed:
            value = value[part]
            path = (*path, part)
        elif index == len(location) - 1:
            path = (*path, part)
    return path


def _table_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """Returns the class of the table that a pydantic location leads to."""
    table: type[BaseModel] = Config
    for part in location:
        if part in _TABLES:
            table = _TABLES[str(part)]
        elif isinstance(part, str):
            table = next(tables_in(table.model_fields[part].annotation))
    return table


def tables_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yields the classes of the tables that a value of such a type can hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from tables_in(argument)


def _shown(value: object) -> str:
    text = without_password(repr(value))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
