"""Constraints in words: `buf.validate` rules as a reader of the specification wants them."""

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration

from buf.validate.validate_pb2 import FieldRules

_WORDS = {
    "string.min_len": "{} characters or more",
    "string.max_len": "at most {} characters",
    "string.pattern": "matches `{}`",
    "bytes.len": "{} bytes",
    "bytes.min_len": "{} bytes or more",
    "bytes.max_len": "at most {} bytes",
    "repeated.min_items": "{} or more of them",
    "repeated.max_items": "at most {} of them",
    "repeated.unique": "no two alike",
    "map.max_pairs": "at most {} of them",
    "gte": "{} or more",
    "gt": "above {}",
    "lte": "at most {}",
    "enum.defined_only": "a value of this version",
    "enum.not_in": "not unspecified",
}
_WORDS_OF_LOW_BOUNDS = {
    ("string.min_len", 1): "not empty",
    ("bytes.min_len", 1): "not empty",
    ("repeated.min_items", 1): "one or more of them",
    ("gte", 0): "not negative",
    ("gt", 0): "above zero",
}


def rules_in_words(rules: FieldRules | None) -> list[str]:
    """Returns the rules of one field, each in a few words.

    Raises:
        KeyError: There is a rule that this module has no words for.
    """
    if rules is None:
        return []
    words = ["required"] if rules.required else []
    kind = rules.WhichOneof("type")
    if kind is not None:
        words += [word for field, value in getattr(rules, kind).ListFields() for word in _rule(kind, field, value)]
    return [f"empty, or {words[0]}", *words[1:]] if rules.ignore and words else words


def _rule(kind: str, field: FieldDescriptor, value: object) -> Iterator[str]:
    if isinstance(value, FieldRules):
        yield "each " + ", ".join(rules_in_words(value))
        return
    bound = value.seconds if isinstance(value, Duration) else value
    name = field.name if field.name in _WORDS else f"{kind}.{field.name}"
    words = _WORDS_OF_LOW_BOUNDS.get((name, bound)) if isinstance(bound, int) else None
    yield words or _WORDS[name].format(bound)
