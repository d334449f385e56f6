"""From a JSON schema to a grammar of the texts that satisfy it.

The grammar is in llama.cpp's notation (GBNF). A part of JSON Schema is understood, and that part
exactly: a keyword beyond it is refused and named, because a grammar that quietly ignored it would
promise what it does not keep. Objects get their properties in the order of the schema and no others.

A schema comes from a stranger: its size, depth and repetitions are bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from consilience_node.engines.errors import SchemaUnsupported

MAX_SCHEMA_BYTES = 16_384
MAX_DEPTH = 32
MAX_REPETITIONS = 256
MAX_INTEGERS = 512

_ANNOTATIONS = frozenset(
    {"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated"}
)
_KEYWORDS = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength"},
    "integer": {"minimum", "maximum"},
    "number": set[str](),
    "boolean": set[str](),
    "null": set[str](),
}
# A comma and a colon may have one space after them, as most models write; white space elsewhere
# would let a small model write nothing else.
_BASE = r"""
space ::= " "?
character ::= [^"\\\x00-\x1F\x7F] | "\\" ["\\/bfnrt]
string ::= "\"" character* "\""
integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
number ::= integer ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?
boolean ::= "true" | "false"
null ::= "null"
member ::= string ":" space value
object ::= "{" (member ("," space member)*)? "}"
array ::= "[" (value ("," space value)*)? "]"
value ::= object | array | string | number | boolean | null
"""

_HALF_CHARACTER = re.compile("[\ud800-\udfff]")

Schema = Mapping[str, object]


def grammar_of(schema: str) -> str:
    """Translates a JSON schema to a grammar whose start is the rule ``root``.

    Raises:
        SchemaUnsupported: it is no schema, or too large, or uses a keyword that is not understood.
    """
    if len(schema.encode("utf-8", errors="replace")) > MAX_SCHEMA_BYTES:
        raise SchemaUnsupported(f"the JSON schema is larger than {MAX_SCHEMA_BYTES} bytes")
    try:
        parsed = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise SchemaUnsupported("the JSON schema is no JSON") from error
    return _Translation(parsed).notation()


class _Translation:
    """Rules of the grammar of one schema, made one by one."""

    def __init__(self, document: object) -> None:
        self._document = document
        self._rules: list[str] = []
        self._references: dict[str, str] = {}

    def notation(self) -> str:
        root = self._value(self._document, place="#", depth=0)
        return "\n".join([f"root ::= {root}", *self._rules]) + _BASE

    def _value(self, schema: object, *, place: str, depth: int) -> str:
        """Returns an expression for what satisfies a schema; refuses what it does not understand."""
        if depth > MAX_DEPTH:
            raise _refused(place, f"it is nested deeper than {MAX_DEPTH} levels")
        if schema is True:
            return "value"
        if not isinstance(schema, dict):
            raise _refused(place, "it is not an object")
        stated = schema.keys() - _ANNOTATIONS
        if "$ref" in stated:
            _only({"$ref"}, stated, place)
            return self._reference(schema["$ref"], place=place, depth=depth)
        if "anyOf" in stated:
            _only({"anyOf"}, stated, place)
            return self._any_of(_list(schema["anyOf"], place), place=f"{place}/anyOf", depth=depth)
        if stated & {"const", "enum"}:
            _only({"const", "enum", "type"}, stated, place)
            return _constants(schema, place=place)
        if "type" not in stated:
            _only(set(), stated, place)
            return "value"
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        _only({"type"}.union(*(_KEYWORDS.get(str(name), set()) for name in types)), stated, place)
        return _alternatives([self._typed(str(name), schema, place=place, depth=depth) for name in types], place)

    def _typed(self, name: str, schema: Schema, *, place: str, depth: int) -> str:
        match name:
            case "object":
                return self._object(schema, place=place, depth=depth)
            case "array":
                return self._array(schema, place=place, depth=depth)
            case "string":
                counted = _repetition(schema, "minLength", "maxLength", place=place)
                return f'"\\"" character{counted} "\\""'
            case "integer":
                return _integer(schema, place=place)
            case "number" | "boolean" | "null":
                return name
        raise _refused(place, f"there is no type {name!r}")

    def _object(self, schema: Schema, *, place: str, depth: int) -> str:
        properties = schema.get("properties", {})
        required = _list(schema.get("required", []), place)
        others = schema.get("additionalProperties", True)
        if not isinstance(properties, dict) or not all(isinstance(name, str) for name in required):
            raise _refused(place, "properties must be an object, and required a list of names")
        if not properties and not required:
            return self._map(others, place=place, depth=depth)
        # The tail of the object after property i, from the last one backwards: `first` where no
        # member has been written yet, `more` where one has and the next one needs a comma.
        first, more = '""', '""'
        names = [*properties, *(name for name in required if name not in properties)]
        for name in reversed(names):
            value = self._value(properties.get(name, True), place=f"{place}/properties/{name}", depth=depth + 1)
            member = self._rule(f'{_literal(name, place)} ":" space {value}')
            follows = self._rule(more)
            if name in required:
                first, more = f"{member} {follows}", f'"," space {member} {follows}'
            else:
                first = f"{member} {follows} | {self._rule(first)}"
                more = f'("," space {member})? {follows}'
        return f'"{{" {self._rule(first)} "}}"'

    def _map(self, values: object, *, place: str, depth: int) -> str:
        if values is False:
            return '"{}"'
        value = self._value(values, place=f"{place}/additionalProperties", depth=depth + 1)
        member = self._rule(f'string ":" space {value}')
        return f'"{{" ({member} ("," space {member})*)? "}}"'

    def _array(self, schema: Schema, *, place: str, depth: int) -> str:
        item = self._rule(self._value(schema.get("items", True), place=f"{place}/items", depth=depth + 1))
        least, most = _bounds(schema, "minItems", "maxItems", place=place)
        if most == 0:
            return '"[]"'
        following = f"{{{max(least - 1, 0)},{'' if most is None else most - 1}}}"
        items = f'{item} ("," space {item}){following}'
        return f'"[" {items} "]"' if least else f'"[" ({items})? "]"'

    def _any_of(self, schemas: list[object], *, place: str, depth: int) -> str:
        return _alternatives([self._value(schema, place=place, depth=depth + 1) for schema in schemas], place)

    def _reference(self, reference: object, *, place: str, depth: int) -> str:
        """Returns the rule of a part of the same document; a part may refer to itself."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _refused(place, "a reference must point into the same schema")
        if reference not in self._references:
            name = self._references[reference] = f"reference{len(self._references)}"
            target = self._value(self._find(reference, place=place), place=reference, depth=depth + 1)
            self._rules.append(f"{name} ::= {target}")
        return self._references[reference]

    def _find(self, reference: str, *, place: str) -> object:
        target = self._document
        for step in reference.removeprefix("#").split("/")[1:]:
            if not isinstance(target, dict) or step not in target:
                raise _refused(place, f"{reference} points nowhere")
            target = target[step]
        return target

    def _rule(self, expression: str) -> str:
        name = f"rule{len(self._rules)}"
        self._rules.append(f"{name} ::= {expression}")
        return name


def _constants(schema: Schema, *, place: str) -> str:
    values = [schema["const"]] if "const" in schema else _list(schema["enum"], place)
    if "const" in schema and "enum" in schema:
        raise _refused(place, "const and enum together are not understood")
    types = schema.get("type", list(_KEYWORDS))
    fitting = [value for value in values if _type_of(value) & set(types if isinstance(types, list) else [types])]
    return _alternatives([_literal(value, place) for value in fitting], place)


def _type_of(value: object) -> set[str]:
    match value:
        case bool():
            return {"boolean"}
        case int():
            return {"integer", "number"}
        case float():
            return {"number"}
        case str():
            return {"string"}
        case list():
            return {"array"}
        case dict():
            return {"object"}
        case _:
            return {"null"}


def _integer(schema: Schema, *, place: str) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    match least, most:
        case None, None:
            return "integer"
        case int(), int() if least <= most < least + MAX_INTEGERS:
            return _alternatives([f'"{value}"' for value in range(least, most + 1)], place)
        case 0, None:
            return '("0" | [1-9] [0-9]{0,15})'
        case 1, None:
            return "([1-9] [0-9]{0,15})"
    raise _refused(place, f"minimum and maximum may enclose {MAX_INTEGERS} integers, or the minimum alone be 0 or 1")


def _repetition(schema: Schema, least_name: str, most_name: str, *, place: str) -> str:
    least, most = _bounds(schema, least_name, most_name, place=place)
    return f"{{{least},{'' if most is None else most}}}"


def _bounds(schema: Schema, least_name: str, most_name: str, *, place: str) -> tuple[int, int | None]:
    least, most = schema.get(least_name, 0), schema.get(most_name)
    if not isinstance(least, int) or not isinstance(most, int | None):
        raise _refused(place, f"{least_name} and {most_name} must be integers")
    if not 0 <= least <= (MAX_REPETITIONS if most is None else most) <= MAX_REPETITIONS:
        raise _refused(place, f"{least_name} and {most_name} must be in order and at most {MAX_REPETITIONS}")
    return least, most


def _literal(value: object, place: str) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if _HALF_CHARACTER.search(text):
        raise _refused(place, "a constant has half a character (a lone surrogate)")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _alternatives(expressions: list[str], place: str) -> str:
    if not expressions:
        raise _refused(place, "nothing can satisfy it")
    return f"({' | '.join(expressions)})"


def _list(value: object, place: str) -> list[object]:
    if not isinstance(value, list):
        raise _refused(place, "enum, anyOf and required must be lists")
    return value


def _only(understood: set[str], stated: set[str], place: str) -> None:
    if strange := sorted(stated - understood):
        raise _refused(place, f"{', '.join(strange)} is not understood there")


def _refused(place: str, reason: str) -> SchemaUnsupported:
    return SchemaUnsupported(f"the JSON schema cannot be enforced at {place}: {reason}")
