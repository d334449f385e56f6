"""Every rule of the specification has an id, every id a rule, and both are of one form."""

from collections import Counter
from pathlib import Path

import pytest

from scripts.machine_cache import ROOT
from scripts.spec_regions import pages
from scripts.spec_requirements import (
    AREAS,
    DRAWN,
    Paragraph,
    drawn,
    main,
    paragraphs,
    references,
    requirement_of,
    spec_requirements,
    undefined_references,
    unnumbered_proto_sentences,
)

_PROTOS = sorted((ROOT / "proto/consilience").rglob("*.proto"))


def _paragraph(text: str) -> Paragraph:
    return Paragraph(page="page.md", anchor="", text=text)


def test_every_id_is_defined_once_and_in_the_form() -> None:
    found = spec_requirements()
    assert len({requirement.id for requirement in found}) == len(found)
    assert {requirement.id.split("-")[0] for requirement in found} <= set(AREAS)


def test_every_id_that_is_referred_to_is_defined() -> None:
    assert undefined_references() == {}


def test_references_are_found_in_protos_sources_vectors_and_pages() -> None:
    tops = {place.split("/")[0] for places in references().values() for place in places}
    assert tops >= {"proto", "sdk", "conformance", "docs"}


def test_the_core_profile_stays_small() -> None:
    counts = Counter(
        requirement.level.removesuffix(" NOT") for requirement in spec_requirements() if requirement.profile == "core"
    )
    assert 50 <= counts["MUST"] <= 73, f"the core profile has {counts['MUST']} MUSTs"


@pytest.mark.parametrize("proto", _PROTOS, ids=lambda proto: proto.name)
def test_what_a_proto_demands_has_an_id(proto: Path) -> None:
    assert unnumbered_proto_sentences(proto) == []


def test_a_demand_without_an_id_in_a_proto_is_noticed(tmp_path: Path) -> None:
    proto = tmp_path / "silent.proto"
    proto.write_text("// Holds a name. It MUST be short. It SHOULD be sweet (ASK-ANS-006).\nstring name = 1;\n")
    assert unnumbered_proto_sentences(proto) == ["It MUST be short"]


def test_a_requirement_is_read() -> None:
    found = requirement_of(_paragraph("- **ASK-DUR-001** (node, durable) The node MUST NOT forget. It is easy."))
    assert found is not None
    assert (found.id, found.level, found.role, found.profile) == ("ASK-DUR-001", "MUST NOT", "node", "durable")
    assert found.sentence == "The node MUST NOT forget."


def test_the_digest_of_a_requirement_changes_with_its_sentence_alone() -> None:
    one, same, other = (
        requirement_of(_paragraph(f"- **ASK-ANS-001** (node) The node MUST {text}"))
        for text in ("sing. It is nice.", "sing. It is hard.", "dance.")
    )
    assert one is not None
    assert same is not None
    assert other is not None
    assert one.digest == same.digest != other.digest


@pytest.mark.parametrize(
    "text",
    [
        "The work MUST end as OUTCOME_FAILED. A reader resumes.",
        "The work MUST end as OUTCOME_FAILED. `Final` tells it.",
        "The work MUST end as OUTCOME_FAILED. gRPC libraries do not.",
        "The work MUST end as [OUTCOME_FAILED](5-errors.md#51-the-status).",
    ],
)
def test_the_sentence_ends_at_its_full_stop_and_holds_no_links(text: str) -> None:
    found = requirement_of(_paragraph(f"- **ASK-ANS-001** (node) {text}"))
    assert found is not None
    assert found.sentence == "The work MUST end as OUTCOME_FAILED."


def test_what_the_judge_knows_is_drawn_afresh() -> None:
    assert DRAWN.read_text(encoding="utf-8") == drawn(spec_requirements()), "run `make docs`"


def test_a_stale_drawing_is_refused_and_drawn_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = tmp_path / "requirements.json"
    drawing.write_text(drawn(spec_requirements()[1:]))
    monkeypatch.setattr("scripts.spec_requirements.DRAWN", drawing)
    monkeypatch.setattr("sys.argv", ["spec_requirements", "--check"])
    with pytest.raises(SystemExit, match=r"stale: requirements\.json"):
        main()
    monkeypatch.setattr("sys.argv", ["spec_requirements", "--write"])
    main()
    assert drawing.read_text() == drawn(spec_requirements())


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_two_headings_of_a_page_share_an_anchor(page: Path) -> None:
    text = page.read_text()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    found = {block.anchor for line in headings for block in paragraphs(f"{line}\n\ntext", page=page.name)}
    assert len(found) == len(headings)


def test_prose_is_no_requirement() -> None:
    assert requirement_of(_paragraph("A node must not be rude, and may be kind.")) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("A node MUST do this.", "without an id"),
        ("- A node SHOULD do this.", "without an id"),
        ("| a table | that is OPTIONAL |", "without an id"),
        ("- **ASK-ANS-001** (node) A node does this.", "where one word"),
        ("- **ASK-ANS-001** (node) A node MUST do this and SHOULD do that.", "where one word"),
        ("- **ASK-ANS-001** (node) A node does this. It MUST do that.", "where one word"),
        ("- **ASK-ANS-001** (node) A node SHALL do this.", "the levels are"),
        ("- **ASK-ANS-1** (node) A node MUST do this.", "no id of the form"),
        ("- **ASK-ANS-001** (server) A node MUST do this.", "is for"),
        ("- **ASK-ANS-001** (node, gold) A node MUST do this.", "is for"),
    ],
)
def test_what_is_not_of_the_form_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        requirement_of(_paragraph(text))


def test_paragraphs_leave_out_code_comments_and_drawn_regions() -> None:
    page = """# A title

One
paragraph.

```text
A node MUST be skipped.
```

<!-- table: consilience.v1.Ask -->
| it MUST be skipped |
<!-- end -->

## 2.1 The other title

- an item
  that goes on
1. a step
"""
    found = [(block.anchor, block.text) for block in paragraphs(page, page="page.md")]
    assert found == [
        ("a-title", "One paragraph."),
        ("21-the-other-title", "- an item that goes on"),
        ("21-the-other-title", "1. a step"),
    ]
