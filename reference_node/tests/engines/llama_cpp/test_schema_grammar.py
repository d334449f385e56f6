from __future__ import annotations

import json
from typing import Any

import pytest

from consilience_node.engines import SchemaUnsupported
from consilience_node.engines.llama_cpp.grammar import Grammar
from consilience_node.engines.llama_cpp.schema_grammar import grammar_of
from consilience_node.engines.llama_cpp.vocabulary import Vocabulary

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "mail": {"type": "string"}},
    "required": ["age"],
    "additionalProperties": False,
}
TREE = {
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {"leaves": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}},
        }
    },
}
PROPERTY_LIKE_A_KEYWORD = {"type": "object", "properties": {"pattern": {"type": "boolean"}}, "required": ["pattern"]}


def _accepts(vocabulary: Vocabulary, schema: object, text: str) -> bool:
    """Says whether a model could write this text, token by token, and end there."""
    grammar = Grammar(grammar_of(json.dumps(schema)), vocabulary=vocabulary)
    (end,) = vocabulary.encode_markup("<|im_end|>")
    try:
        for token in vocabulary.encode_content(text):
            if not grammar.allows(token):
                return False
            grammar.accept(token)
        return grammar.allows(end)
    finally:
        grammar.close()


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (True, '[1, {"a":null}]'),
        ({}, '"anything"'),
        ({"title": "T", "description": "d", "type": "boolean"}, "true"),
        ({"type": "string"}, '"日本 🧑‍🚀 \\" \\\\ \\n"'),
        ({"type": "string", "minLength": 2, "maxLength": 3}, '"äöü"'),
        ({"type": "integer"}, "-120"),
        ({"type": "integer", "minimum": 0}, "0"),
        ({"type": "integer", "minimum": 1}, "10"),
        ({"type": "integer", "minimum": -2, "maximum": 12}, "-2"),
        ({"type": "number"}, "-3.25e-7"),
        ({"type": ["string", "null"]}, "null"),
        ({"const": 'a "quoted" \\ 日🧑‍🚀'}, json.dumps('a "quoted" \\ 日🧑‍🚀', ensure_ascii=False)),
        ({"const": {"a": [1, None]}}, '{"a":[1,null]}'),
        ({"enum": ["red", "green", 3]}, "3"),
        ({"anyOf": [{"type": "integer"}, {"const": "none"}]}, '"none"'),
        ({"type": "array", "items": {"type": "integer"}}, "[]"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3}, "[1, 2,3]"),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 1}, "[7]"),
        ({"type": "array", "maxItems": 0}, "[]"),
        ({"type": "object"}, '{"any": [true]}'),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, '{"a": 1, "b": 2}'),
        ({"type": "object", "additionalProperties": False}, "{}"),
        ({"type": "object", "required": ["a"]}, '{"a": 1}'),
        (PERSON, '{"age": 3}'),
        (PERSON, '{"name": "A", "age": 3}'),
        (PERSON, '{"age": 3, "mail": "m"}'),
        (PERSON, '{"name":"A","age":3,"mail":"m"}'),
        (TREE, '{"leaves": [{"leaves": []}, {}]}'),
        (PROPERTY_LIKE_A_KEYWORD, '{"pattern": true}'),
    ],
)
def test_text_that_satisfies_the_schema_can_be_written(vocabulary: Vocabulary, schema: Any, text: str) -> None:
    json.loads(text)
    assert _accepts(vocabulary, schema, text)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "boolean"}, "null"),
        ({"type": "string"}, '"open'),
        ({"type": "string"}, '"raw \n newline"'),
        ({"type": "string"}, '"\\ud83e"'),
        ({"type": "string", "minLength": 2, "maxLength": 3}, '"a"'),
        ({"type": "string", "minLength": 2, "maxLength": 3}, '"abcd"'),
        ({"type": "integer"}, "1.5"),
        ({"type": "integer"}, "01"),
        ({"type": "integer", "minimum": 0}, "-1"),
        ({"type": "integer", "minimum": 1}, "0"),
        ({"type": "integer", "minimum": -2, "maximum": 12}, "13"),
        ({"type": "number"}, "1."),
        ({"type": ["string", "null"]}, "1"),
        ({"enum": ["red", "green"]}, '"blue"'),
        ({"type": "string", "enum": ["red", 3]}, "3"),
        ({"type": "array", "items": {"type": "integer"}}, '["a"]'),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3}, "[1]"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3}, "[1, 2, 3, 4]"),
        ({"type": "array", "items": {"type": "integer"}}, "[1,]"),
        ({"type": "array", "maxItems": 0}, "[1]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, '{"a": "b"}'),
        ({"type": "object", "additionalProperties": False}, '{"a": 1}'),
        (PERSON, "{}"),
        (PERSON, '{"name": "A"}'),
        (PERSON, '{"age": "3"}'),
        (PERSON, '{"age": 3,}'),
        (PERSON, '{"age": 3, "size": 1}'),
        (TREE, '{"leaves": [{}, {}, {}]}'),
        (PROPERTY_LIKE_A_KEYWORD, "{}"),
    ],
)
def test_text_that_does_not_satisfy_the_schema_cannot_be_written(
    vocabulary: Vocabulary, schema: Any, text: str
) -> None:
    assert not _accepts(vocabulary, schema, text)


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "string", "pattern": "^a$"}, "#: pattern"),
        ({"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}}, "#/properties/a: format"),
        ({"type": "object", "minProperties": 1}, "minProperties"),
        ({"type": "number", "minimum": 0.5}, "minimum"),
        ({"type": "integer", "minimum": 7}, "minimum"),
        ({"type": "integer", "minimum": 0, "maximum": 10**9}, "512 integers"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 10**8}, "256"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "in order"),
        ({"type": "string", "minLength": 1e9}, "integers"),
        ({"type": "horse"}, "horse"),
        ({"type": "array", "items": [{"type": "string"}]}, "#/items"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "oneOf"),
        ({"$ref": "https://example.com/schema"}, "same schema"),
        ({"$ref": "#/$defs/a"}, "points nowhere"),
        ({"$ref": "#/$defs/a", "type": "string", "$defs": {"a": {}}}, "type"),
        ({"const": 1, "type": "string"}, "nothing can satisfy"),
        ({"const": "half \ud83e"}, "half a character"),
        ({"anyOf": []}, "nothing can satisfy"),
        (False, "not an object"),
        ([], "not an object"),
    ],
)
def test_what_is_not_understood_is_refused_and_its_place_named(schema: Any, place: str) -> None:
    with pytest.raises(SchemaUnsupported) as caught:
        grammar_of(json.dumps(schema))
    assert place in str(caught.value)


@pytest.mark.parametrize("schema", ["no json", "[" * 5000, '"' + "x" * 20_000 + '"'])
def test_what_is_no_schema_of_reasonable_size_is_refused(schema: str) -> None:
    with pytest.raises(SchemaUnsupported, match=r"no JSON|larger"):
        grammar_of(schema)


def test_schema_that_is_nested_too_deep_is_refused() -> None:
    schema: dict[str, object] = {"type": "boolean"}
    for _ in range(40):
        schema = {"type": "array", "items": schema}
    with pytest.raises(SchemaUnsupported, match="deeper"):
        grammar_of(json.dumps(schema))


def test_reference_that_only_leads_to_itself_is_refused(vocabulary: Vocabulary) -> None:
    notation = grammar_of(json.dumps({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}))
    with pytest.raises(SchemaUnsupported):
        Grammar(notation, vocabulary=vocabulary)
