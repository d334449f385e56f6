"""Violations: a field that is absent or out of range, named by its whole path in the payload (ERR-FLD-001)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consilience.errors import FieldInvalidError, FieldViolation, FieldViolations


class ViolationAtError(FieldInvalidError):
    """A violation on its way out of nested messages, which each put their field before its path."""

    def __init__(self, path: str, description: str) -> None:
        violation = FieldViolation(field=path, description=description)
        super().__init__(f"{path} {description}", detail=FieldViolations(violations=(violation,)))
        self.path = path
        self.description = description


def within(path: str, decode: Callable[[Any], Any], encoded: Any) -> Any:
    """Decodes what stands at a path, so that a violation inside names the whole path.

    Raises:
        ViolationAtError: Something in there is absent or out of range.
    """
    try:
        return decode(encoded)
    except ViolationAtError as error:
        raise ViolationAtError(f"{path}.{error.path}".rstrip("."), error.description) from error
