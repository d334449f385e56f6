"""What is drawn on the pages of the specification is fresh, complete and linked; what is written fits the code."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from buf.validate.validate_pb2 import FieldRules
from consilience_conformance import vectors
from scripts.machine_cache import ROOT
from scripts.spec_descriptors import elements
from scripts.spec_regions import SPEC, pages, redrawn, region_names
from scripts.spec_requirements import spec_requirements
from scripts.spec_rules import rules_in_words
from scripts.spec_tables import DRAWINGS, catalogue, table

_DOCUMENTS = [*pages(), *sorted((ROOT / "docs/adr").glob("*.md"))]
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:)(?P<page>[^)#]*)(?:#(?P<anchor>[^)]*))?\)")


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_page_is_drawn_afresh(page: Path) -> None:
    text = page.read_text()
    assert text == redrawn(text, drawings=DRAWINGS), "run `make docs`"


def test_a_page_that_was_edited_by_hand_is_noticed() -> None:
    text = (SPEC / "0-envelopes.md").read_text()
    edited = text.replace("| 4 | `signature` |", "| 5 | `signature` |")
    assert edited != text
    assert redrawn(edited, drawings=DRAWINGS) == text


def test_every_message_enum_and_service_has_its_table() -> None:
    drawn = [name for page in pages() for name in region_names(page.read_text(), kind="table")]
    catalogues = [name for page in pages() for name in region_names(page.read_text(), kind="catalogue")]
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) | set(catalogues) == elements().keys()


def test_every_chapter_has_an_example_with_real_bytes() -> None:
    chapters = [page for page in pages() if page.name[0].isdigit()]
    drawn = [name for page in chapters for name in region_names(page.read_text(), kind="example")]
    assert all(region_names(page.read_text(), kind="example") for page in chapters)
    assert len(drawn) == len(set(drawn))


@pytest.mark.parametrize("kind", ["table", "catalogue", "example"])
def test_a_marker_that_names_nothing_is_refused(kind: str) -> None:
    with pytest.raises(KeyError):
        redrawn(f"<!-- {kind}: consilience.v1.Nothing -->\n<!-- end -->", drawings=DRAWINGS)


def test_a_catalogue_of_something_that_is_no_enum_is_refused() -> None:
    with pytest.raises(KeyError):
        catalogue("consilience.v1.Ask")


def test_a_table_shows_number_type_rules_and_comment_of_a_field() -> None:
    drawn = table("consilience.v1.Skill")
    assert "| 14 | `limits` | [`Limits`](1-nodes.md#limits) |" in drawn
    assert "at most 32 of them, each matches `^[a-z0-9][a-z0-9._-]{0,63}$`" in drawn
    assert "map of string to `google.protobuf.Any`" in table("consilience.v1.NodeCard")
    assert "empty, or 32 bytes" in table("consilience.v1.Endpoint")
    assert "one of `document` and `answer_digest` is set" in table("consilience.v1.Citation")
    assert "optional double" in table("consilience.v1.Confidence")


def test_a_rule_without_words_is_refused() -> None:
    rules = FieldRules()
    rules.string.email = True
    with pytest.raises(KeyError, match="email"):
        rules_in_words(rules)


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Path) -> None:
    for found in _LINK.finditer(document.read_text()):
        target = document.parent / found["page"] if found["page"] else document
        assert target.exists(), found[0]
        if found["anchor"] is not None:
            assert found["anchor"] in _anchors(target), found[0]


def test_decisions_are_numbered_and_listed() -> None:
    names = [page.name for page in sorted((ROOT / "docs/adr").glob("0*.md"))]
    numbers = [int(name[:4]) for name in names]
    assert all(after == before + 1 for before, after in pairwise([0, *numbers]))
    index = (ROOT / "docs/adr/README.md").read_text()
    assert all(f"]({name})" in index for name in names)


@pytest.mark.parametrize("page", sorted((ROOT / "docs/adr").glob("0*.md")), ids=lambda page: page.name[:4])
def test_a_decision_has_its_four_parts(page: Path) -> None:
    text = page.read_text()
    places = [text.find(f"**{part}.**") for part in ("Context", "Options", "Decision", "Consequences")]
    assert places == sorted(places)
    assert min(places) > 0


def test_every_file_of_vectors_is_presented() -> None:
    text = (SPEC / "README.md").read_text()
    assert all(f"`{name}.json`" in text for name in vectors.NAMES)


def test_requirements_stand_where_their_area_is_at_home() -> None:
    homes = {
        "SIG": "0-envelopes.md",
        "STRM": "2-asks.md",
        "ASK": "2-asks.md",
        "VER": "6-versions.md",
    }
    for requirement in spec_requirements():
        home = homes.get(requirement.id.split("-")[0], requirement.page)
        assert requirement.page == home, requirement.id
