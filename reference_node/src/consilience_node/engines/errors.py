"""What can go wrong in an engine, as one tree.

::

    EngineError
    ├── ContextTooLong       the prompt does not fit, and nothing is ever cut
    ├── EngineOverloaded     every place in the queue is taken; try again later
    ├── EngineUnavailable    not started, closed, crashed, or out of reach
    ├── RequestRejected      the engine understood, and will not do it
    │   └── SchemaUnsupported
    ├── ModelNotFound        no such model
    └── ModelUnusable        there is a model, but this engine cannot run it

An engine raises nothing else; the node turns each class into a refusal of the wire.
"""

from __future__ import annotations

from pathlib import Path


class EngineError(Exception):
    """Root of every error that an engine raises."""


class ContextTooLong(EngineError):
    """The rendered prompt is longer than one sequence of the engine may be.

    Args:
        limit: most tokens a prompt may have here.
        given: tokens the rendered prompt has, template included; None if the engine did not say.
    """

    def __init__(self, *, limit: int, given: int | None = None) -> None:
        self.limit = limit
        self.given = given
        size = "more" if given is None else str(given)
        super().__init__(f"the prompt may have {limit} tokens and has {size}; send a shorter one")


class EngineOverloaded(EngineError):
    """The engine's queue is full.

    Args:
        retry_after: seconds after which a place is likely to be free.
    """

    def __init__(self, *, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"the engine's queue is full; try again in {retry_after:.1f} s")


class EngineUnavailable(EngineError):
    """The engine cannot work at all now: not started, closed, crashed, or out of reach."""


class RequestRejected(EngineError):
    """The engine understood the request and refuses it as it stands; repeating it is useless."""


class SchemaUnsupported(RequestRejected):
    """The JSON schema for the answer cannot be enforced by this engine."""


class ModelNotFound(EngineError):
    """There is no model under the name or path that was given.

    Args:
        path: the name or path that was looked for.
        hint: what to do about it.
    """

    def __init__(self, *, path: str | Path, hint: str) -> None:
        self.path = path
        self.hint = hint
        super().__init__(f"no model at {str(path)!r}: {hint}")


class ModelUnusable(EngineError):
    """A model is there, but this engine cannot run it.

    Args:
        path: the name or path of the model.
        reason: why not, and what to do about it.
    """

    def __init__(self, *, path: str | Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"cannot run the model {str(path)!r}: {reason}")
