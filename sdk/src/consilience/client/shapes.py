"""Shapes: an answer read into a Pydantic model, or held against a JSON schema.

Neither library is a dependency: a model brings its own, and a schema needs the extra `consilience[schema]`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from consilience.errors import AnswerShapeError, UsageError

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@runtime_checkable
class ModelType(Protocol):
    """A class like `pydantic.BaseModel`: it states its JSON schema and reads JSON."""

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        """Returns the JSON schema of the model."""

    @classmethod
    def model_validate_json(cls, json_data: str) -> Self:
        """Reads the model out of JSON, or raises a ValueError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerShape:
    """What an answer has to look like.

    Attributes:
        schema: The JSON schema, as text.
        read: Returns what the text of an answer stands for, or raises a ValueError.
    """

    schema: str
    read: Callable[[str], object]

    @classmethod
    def of_model(cls, model: ModelType) -> Self:
        """Returns the shape of a Pydantic model class.

        Raises:
            UsageError: The class is none.
        """
        if not isinstance(model, ModelType):
            raise UsageError(f"answer_type is a Pydantic model class, and {model!r} is none")
        return cls(schema=json.dumps(model.model_json_schema()), read=model.model_validate_json)

    @classmethod
    def of_schema(cls, schema: dict[str, object] | str) -> Self:
        """Returns the shape of a JSON schema (2020-12). It refers to nothing outside itself.

        Raises:
            UsageError: It is no schema, or `jsonschema` is not installed.
        """
        try:
            import jsonschema  # noqa: PLC0415 - an extra, and slow to import
            import referencing  # noqa: PLC0415 - comes with it
        except ImportError as error:
            raise UsageError("answer_schema needs jsonschema: pip install 'consilience[schema]'") from error
        try:
            parsed = json.loads(schema) if isinstance(schema, str) else schema
            jsonschema.Draft202012Validator.check_schema(parsed)
            text = json.dumps(parsed)
        except RecursionError as error:
            raise UsageError("answer_schema is nested too deeply to be read") from error
        except (TypeError, ValueError, jsonschema.SchemaError) as error:
            raise UsageError(f"answer_schema is no JSON schema: {error}") from error
        # With a registry of its own the validator never follows a reference over the network.
        validator = jsonschema.Draft202012Validator(parsed, registry=referencing.Registry())

        def read(text: str) -> object:
            value = json.loads(text)
            try:
                validator.validate(value)
            except jsonschema.ValidationError as error:
                raise ValueError(f"{error.json_path}: {error.message}") from error
            except referencing.exceptions.Unresolvable as error:
                raise ValueError(f"the schema refers to {error.ref}, which is not in it") from error
            return value

        return cls(schema=text, read=read)

    def parse(self, text: str) -> Any:  # noqa: ANN401 - what the model or the schema makes of it
        """Returns what an answer stands for.

        Raises:
            AnswerShapeError: It does not fit; the error holds the text.
        """
        try:
            return self.read(text)
        except (ValueError, RecursionError) as error:
            raise AnswerShapeError(f"the answer does not have the shape asked for: {error}", text=text) from error


def shape_of(model: ModelType | None, schema: dict[str, object] | str | None) -> AnswerShape | None:
    """Returns the shape that the options of an ask want, or None.

    Raises:
        UsageError: They want two, or something that is none.
    """
    if model is not None and schema is not None:
        raise UsageError("give answer_type or answer_schema, not both")
    if model is not None:
        return AnswerShape.of_model(model)
    return None if schema is None else AnswerShape.of_schema(schema)
