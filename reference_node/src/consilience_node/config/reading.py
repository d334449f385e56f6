"""Reads `node.toml`, and says of every error where it stands: file, line, key, what is wrong.

Nothing that the file names is opened yet. An error looks like this::

    node.toml:12: skills[0].model: unknown model "x"; known: smollm2
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from consilience_node.config.lines import KeyPath, line_of, lines_of_keys
from consilience_node.config.settings import MODEL_TABLES, Config

_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound here
_SHOWN_CHARACTERS = 60
_TOML_ERROR = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)", re.DOTALL)


class ConfigError(Exception):
    """The configuration cannot be used. The message has one line for each thing to repair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a configuration, and the key that it is wrong with."""

    path: KeyPath
    what: str

    @property
    def key(self) -> str:
        """The key as a person would write it: `skills[0].model`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")


def read_config(path: Path) -> Config:
    """Reads and checks a configuration file; nothing that it names is opened.

    Raises:
        ConfigError: It cannot be read, is no TOML, or says what cannot be; all of it is listed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_toml_complaint(str(error), path=path, text=text)) from error
    try:
        config = Config.model_validate(tables, context={"folder": path.absolute().parent})
        problems = list(contradictions(config))
    except ValidationError as error:
        problems = [_problem(details, tables=tables) for details in error.errors(include_url=False)]
    if problems:
        lines = lines_of_keys(text)
        raise ConfigError("\n".join(_complaint(problem, path=path, lines=lines) for problem in problems))
    return config


def contradictions(config: Config) -> Iterator[Problem]:
    """Yields what no single key has wrong: names given twice, and names that nothing has."""
    yield from _unreachable(config)
    yield from _repeated("models", [model.id for model in config.models])
    yield from _repeated("skills", [skill.id for skill in config.skills])
    if not config.skills:
        yield Problem(path=("skills",), what="a node has one skill at least")
    known = [model.id for model in config.models]
    for index, skill in enumerate(config.skills):
        if skill.model not in known:
            yield Problem(
                path=("skills", index, "model"),
                what=f'unknown model "{skill.model}"; known: {", ".join(known) or "none"}',
            )
        if skill.knowledge is None and skill.knowledge_uri is not None:
            yield Problem(path=("skills", index, "knowledge_uri"), what="goes with `knowledge`, which is not set")
        if skill.knowledge is not None and skill.system_prompt is not None:
            yield Problem(
                path=("skills", index, "system_prompt"), what="a skill with `knowledge` has its own, measured one"
            )


def _unreachable(config: Config) -> Iterator[Problem]:
    """Yields why nobody could call a node at the address in its card."""
    host = config.node.address.rpartition(":")[0].strip("[]")
    if host in _EVERY_ADDRESS and not config.node.advertise:
        yield Problem(
            path=("node", "advertise"), what=f'is missing: nobody can call "{host}"; say what others are to call'
        )
    if (tls := config.tls) is not None and tls.mode == "webpki":
        for key in ("certificate", "key"):
            if getattr(tls, key) is None:
                yield Problem(path=("tls", key), what='is missing; it goes with mode = "webpki"')
    if tls is not None and tls.mode == "pinned" and tls.key is not None:
        yield Problem(path=("tls", "key"), what='goes with mode = "webpki"; the other holds its key in `certificate`')


def _repeated(table: str, ids: list[str]) -> Iterator[Problem]:
    counts = Counter(ids)
    for index, name in enumerate(ids):
        if counts[name] > 1 and name in ids[:index]:
            yield Problem(path=(table, index, "id"), what=f'"{name}" is used twice; ids are unique')


def _toml_complaint(message: str, *, path: Path, text: str) -> str:
    found = _TOML_ERROR.fullmatch(message)
    what = found["what"] if found else message
    line = (found and found["line"]) or str(len(text.splitlines()))
    return f"{path}:{line}: not TOML: {what[:1].lower()}{what[1:]}"


def _complaint(problem: Problem, *, path: Path, lines: Mapping[KeyPath, int]) -> str:
    line = line_of(problem.path, lines=lines)
    place = str(path) if line is None else f"{path}:{line}"
    return f"{place}: {problem.key}: {problem.what}"


def _problem(details: ErrorDetails, *, tables: dict[str, Any]) -> Problem:
    path = _written_path(details["loc"], tables=tables)
    match details["type"]:
        case "extra_forbidden":
            what = f"unknown key; known: {', '.join(_table_at(details['loc'][:-1]).model_fields)}"
        case "missing":
            what = "is missing"
        case "union_tag_not_found":
            path, what = (*path, "engine"), f"is missing; known: {', '.join(MODEL_TABLES)}"
        case "union_tag_invalid":
            path, what = (*path, "engine"), f"unknown engine; known: {', '.join(MODEL_TABLES)}"
        case _:
            what = details["msg"].removeprefix("Value error, ")
            what = f"{what[:1].lower()}{what[1:]}, not {_shown(details['input'])}"
    return Problem(path=path, what=what)


def _written_path(location: tuple[int | str, ...], *, tables: dict[str, Any]) -> KeyPath:
    """Returns a pydantic location without what is not in the file: it names the engine between model and key."""
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
        if part in MODEL_TABLES:
            table = MODEL_TABLES[str(part)]
        elif isinstance(part, str):
            table = next(_tables_in(table.model_fields[part].annotation))
    return table


def _tables_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _tables_in(argument)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
