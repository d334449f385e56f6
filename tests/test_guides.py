import re
from pathlib import Path

import pytest

from scripts.machine_cache import ROOT
from tests.guide_runner import Block, blocks_of, run_page

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
WITHOUT_COMMANDS = {"performance.md"}


@pytest.mark.timeout(600)  # a guide starts nodes and judges them, and clients, one after the other
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_a_guide_works_to_the_letter(guide: Path, tmp_path: Path) -> None:
    if guide.name in WITHOUT_COMMANDS:
        assert blocks_of(guide) == []
        return
    assert run_page(guide, tmp_path)


def test_a_block_that_fails_fails_the_guide(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ true\n$ exit 3\n```\n")
    with pytest.raises(AssertionError, match="ended with 3"):
        run_page(page, tmp_path)


def test_who_runs_the_last_example_of_a_rail_again_is_paid_again(tmp_path: Path) -> None:
    blocks = blocks_of(ROOT / "docs" / "guides" / "write-a-rail.md")
    page = tmp_path / "page.md"
    page.write_text(
        "".join(map(_as_text, [*_files(blocks), *[block for block in blocks if "bank.db" in block.text][-1:] * 2]))
    )
    first, second = run_page(page, tmp_path)
    assert "SUCCEEDED" in first
    assert first == second


def test_the_failure_that_a_guide_shows_is_what_the_judge_says(tmp_path: Path) -> None:
    guide = ROOT / "docs" / "guides" / "certify-your-node.md"
    shown = re.search(r"```text\n(FAIL .*?)```", guide.read_text(), flags=re.DOTALL)
    assert shown
    blocks = blocks_of(guide)
    of_the_mutant = [block for block in blocks if "7342" in block.text]
    page = tmp_path / "page.md"
    page.write_text("".join(map(_as_text, [*_files(blocks), *of_the_mutant[:2]])))
    (said,) = run_page(page, tmp_path)
    assert _without_chance(shown[1]) <= _without_chance(said)


def _files(blocks: list[Block]) -> list[Block]:
    return [block for block in blocks if block.note.startswith("file:")]


def _as_text(block: Block) -> str:
    note = f"<!-- {block.note} -->\n" if block.note else ""
    return f"{note}```{block.language}\n{block.text}```\n"


def _without_chance(text: str) -> set[str]:
    """Returns the lines of a text without what differs from run to run: seconds and ports."""
    return set(re.sub(r"\d+\.\d\d s$|(?<=127\.0\.0\.1:)\d+", "", text, flags=re.MULTILINE).splitlines())


def test_the_first_answer_of_the_readme_is_given(tmp_path: Path) -> None:
    ask, serve = (block for block in blocks_of(ROOT / "README.md") if block.language == "python")
    page = tmp_path / "page.md"
    page.write_text(
        f"<!-- file: serve.py -->\n```python\n{serve.text}```\n"
        "<!-- background -->\n```console\n$ python serve.py\n```\n"
        f"```python\n{ask.text}```\n"
        "```console\n$ consilience ask 'What is a cat?' --node 127.0.0.1:7341 || test $? -eq 6\n```\n"
    )
    answer, abstention = run_page(page, tmp_path)
    assert answer.startswith("ANSWERED\na bug that disappears when one tries to study it\nConfidence(")
    assert "ABSTAINED (no_knowledge)" in abstention
