"""Reads calibration data: how answers of one model were measured, and which of them were right.

The data is a JSON file, one row per measured answer. The numbers that a node states are computed from the rows when
they are needed, so that they cannot disagree with the data, and the digest that a confidence names is the SHA-256 of
the file. `python -m benchmarks.knowledge.measure` writes such a file for any model.

A model without calibration data gets no probability: how sure SmolLM2 is tells nothing about another model.

Example::

    calibration = calibration_of(engine.model.weights_sha256)
    if calibration is not None:
        print(len(calibration.grounded), calibration.digest.hex())
"""

import hashlib
from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from consilience_node.knowledge.errors import CalibrationFormatError
from consilience_node.knowledge.gate import Evidence
from consilience_node.knowledge.topic import TopicRule

_FOLDER = "calibrations"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class GroundedRow(_Row):
    """Is one answer that was made from a passage.

    Attributes:
        id: The question, in the file of questions.
        topic, mean_logprob, support, echo, finished: As in `gate.Evidence`.
        right: Whether the answer was right.
    """

    id: str
    topic: Annotated[TopicRule, Field(strict=False)]
    mean_logprob: float
    support: float
    echo: bool
    finished: bool
    right: bool

    @property
    def evidence(self) -> Evidence:
        """What the gate judges it by."""
        return Evidence(
            topic=self.topic,
            mean_logprob=self.mean_logprob,
            support=self.support,
            echo=self.echo,
            finished=self.finished,
        )


class ClosedBookRow(_Row):
    """Is one answer that was made from memory.

    Attributes:
        id: The question, in the file of questions.
        mean_logprob, min_logprob: Over the tokens of the answer, natural logarithms.
        token_count: How many tokens the answer has.
        echo: Whether it has no word of its own.
        right: Whether it was right.
    """

    id: str
    mean_logprob: float
    min_logprob: float
    token_count: Annotated[int, Field(ge=1)]
    echo: bool
    right: bool


def _digest_from_hex(text: object) -> object:
    return bytes.fromhex(text) if isinstance(text, str) else text


class Calibration(_Row):
    """Is what was measured of one model.

    Attributes:
        model: Its name.
        weights_sha256: SHA-256 of its weights, which it is recognised by.
        measured: What was asked, how the answers were judged, and when, for people.
        grounded: Answers from passages.
        closed_book: Answers from memory.
        digest: SHA-256 of the file, 32 bytes.
    """

    model: str
    weights_sha256: Annotated[bytes, BeforeValidator(_digest_from_hex), Field(min_length=32, max_length=32)]
    measured: str
    grounded: Annotated[tuple[GroundedRow, ...], Field(strict=False)]
    closed_book: Annotated[tuple[ClosedBookRow, ...], Field(strict=False)]
    digest: Annotated[bytes, Field(exclude=True)] = b""


def read_calibration(content: bytes, *, name: str) -> Calibration:
    """Reads calibration data.

    Args:
        content: The bytes of the file.
        name: The name of the file, for the error.

    Raises:
        CalibrationFormatError: It is not such data; the error names the first place that is wrong.
    """
    try:
        calibration = Calibration.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CalibrationFormatError(name, reason=f"{place or 'the file'}: {first['msg']}") from error
    return calibration.model_copy(update={"digest": hashlib.sha256(content).digest()})


def calibration_of(weights_sha256: bytes) -> Calibration | None:
    """Returns the packaged calibration of a model, recognised by its weights; None if it was never measured."""
    return _packaged().get(weights_sha256)


@cache
def _packaged() -> dict[bytes, Calibration]:
    folder = resources.files(__package__).joinpath(_FOLDER)
    read = (
        read_calibration(file.read_bytes(), name=file.name) for file in folder.iterdir() if file.name.endswith(".json")
    )
    return {calibration.weights_sha256: calibration for calibration in read}
