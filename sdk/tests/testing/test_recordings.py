import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.client.questions import turns_of
from consilience.identity import KeyPair
from consilience.server import IncomingAsk, Node
from consilience.testing import NotRecordedError, RecordedClient, RecordingBrokenError, serving_in_thread
from consilience.testing.recordings import _name_of


def _counting_node(folder: Path, asked: list[str]) -> Node:
    node = Node(name="counting", key=KeyPair.generate())

    @node.skill("echo.upper")
    async def upper(ask: IncomingAsk) -> AsyncIterator[str]:
        asked.append(ask.text)
        yield ask.text.upper()

    return node


async def _record(folder: Path, asked: list[str]) -> str:
    with serving_in_thread(_counting_node(folder, asked)) as running:
        async with Client(key=KeyPair.generate(), card_file=folder / "cards") as client:
            recorded = RecordedClient(folder / "recordings", client=client)
            first = await recorded.ask("heisenbug", node=running.address)
            second = await recorded.ask("heisenbug", node=running.address, timeout=5)
    assert first.answer == second.answer
    return first.text


async def test_an_answer_is_recorded_once_and_played_without_the_node(tmp_path: Path) -> None:
    asked: list[str] = []
    text = await _record(tmp_path, asked)
    played = await RecordedClient(tmp_path / "recordings").ask("heisenbug", node="127.0.0.1:1")
    assert asked == ["heisenbug"]
    assert played.text == text == "HEISENBUG"
    assert all(check.passed for check in played.exchange.verify())


async def test_a_question_that_is_not_recorded_is_named(tmp_path: Path) -> None:
    await _record(tmp_path, [])
    with pytest.raises(NotRecordedError, match="'bohrbug'"):
        await RecordedClient(tmp_path / "recordings").ask("bohrbug", node="127.0.0.1:1")


async def test_another_skill_is_another_question(tmp_path: Path) -> None:
    await _record(tmp_path, [])
    with pytest.raises(NotRecordedError):
        await RecordedClient(tmp_path / "recordings").ask("heisenbug", node="127.0.0.1:1", skill="echo.upper")


async def test_a_recording_that_was_edited_is_refused(tmp_path: Path) -> None:
    await _record(tmp_path, [])
    (file,) = (tmp_path / "recordings").iterdir()
    document = json.loads(file.read_text())
    document["text"] = "MANDELBUG"
    file.write_text(json.dumps(document))
    with pytest.raises(RecordingBrokenError, match="does not verify"):
        await RecordedClient(tmp_path / "recordings").ask("heisenbug", node="127.0.0.1:1")


async def test_a_recording_under_another_questions_name_is_refused(tmp_path: Path) -> None:
    await _record(tmp_path, [])
    recordings = tmp_path / "recordings"
    (file,) = recordings.iterdir()
    player = RecordedClient(recordings)
    with pytest.raises(NotRecordedError):
        await player.ask("bohrbug", node="127.0.0.1:1")
    file.rename(recordings / f"{_name_of(turns_of('bohrbug'), {})}.json")
    with pytest.raises(RecordingBrokenError, match="another question"):
        await player.ask("bohrbug", node="127.0.0.1:1")
