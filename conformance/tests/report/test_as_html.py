"""The HTML report is one page that holds all it needs, and that a node cannot write into."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest

from conformance.tests.made_runs import HOSTILE, result
from conformance.tests.report.reports import SPENT, hostile_report, paid_report, report
from consilience_conformance.report.as_html import report_to_html
from consilience_conformance.report.summary import Report
from consilience_conformance.verdicts import Finding, Verdict

_VOID = {"meta", "input", "br"}


@dataclass
class Page(HTMLParser):
    """What stands in a page."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open_tags[-1] if self.open_tags else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self, *, within: str = "") -> str:
        return "".join(text for tag, text in self.texts if tag not in {"script", "style"} and within in {"", tag})


def page(of: Report) -> Page:
    parsed = Page()
    parsed.feed(report_to_html(of))
    parsed.close()
    assert not parsed.open_tags
    return parsed


def test_a_page_loads_nothing() -> None:
    seen = page(report(result(Verdict.FAIL)))
    for _, attributes in seen.tags:
        assert not {"src", "srcset", "style"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")
    assert "http" not in seen.text(within="style")
    assert "@import" not in "".join(text for tag, text in seen.texts if tag == "style")
    assert "url(" not in "".join(text for tag, text in seen.texts if tag == "style")


def test_the_policy_allows_the_page_its_own_script_and_style_and_nothing_else() -> None:
    seen = page(report(result()))
    policy = next(one["content"] or "" for one in seen.all("meta") if one.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (text,) = [text for name, text in seen.texts if name == tag]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_what_a_hostile_node_writes_is_text_and_turns_nothing_around() -> None:
    seen = page(hostile_report())
    assert len(seen.all("script")) == 1
    assert not [attributes for _, attributes in seen.tags if any(name.startswith("on") for name in attributes)]
    text = seen.text()
    assert "<script>alert(1)</script>\\u001b[31m\\u202e" in text
    assert "\x1b" not in text
    assert "\u202e" not in report_to_html(hostile_report())


def test_each_link_of_the_page_leads_somewhere_and_no_place_has_two_names() -> None:
    findings = tuple(
        Finding(requirement="ASK-IDEM-002", message=f"finding {index}", exchange="defect") for index in range(5)
    )
    for told in (report(result(Verdict.FAIL, findings=findings)), hostile_report(), report(trouble="silence")):
        seen = page(told)
        names = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
        assert len(names) == len(set(names))
        for link in seen.all("a"):
            assert (link["href"] or "")[1:] in names


def test_a_failure_shows_rule_difference_call_and_the_line_that_runs_it_again() -> None:
    text = re.sub(r"\s+", " ", page(report(result(Verdict.FAIL))).text())
    assert "MUST refuse an ask whose request id is bound to another ask" in text
    assert "expectedrefused REQUEST_ID_REUSED" in text.replace(" expected", "expected").replace("expected ", "expected")
    assert "1 bytes that do not parse as consilience.v1.GetAnswerResponse" in text
    assert "--only ask" in text


def test_the_difference_is_marked() -> None:
    finding = Finding(requirement="ASK-IDEM-002", message="m", expected="event 4", got="event 5")
    seen = page(report(result(Verdict.FAIL, findings=(finding,))))
    assert [text for tag, text in seen.texts if tag == "mark"] == ["4", "5"]


def test_many_findings_against_one_rule_are_there_on_demand() -> None:
    findings = tuple(Finding(requirement="ASK-IDEM-002", message=f"finding {index}") for index in range(9))
    seen = page(report(result(Verdict.FAIL, findings=findings)))
    assert "and 7 more against ASK-IDEM-002" in seen.text(within="summary")
    assert "finding 8" in seen.text()


@pytest.mark.parametrize(
    ("told", "ending"),
    [
        (report(result()), "PASSED"),
        (report(result(Verdict.FAIL)), "FAILED"),
        (report(), "TOO LITTLE"),
        (report(trouble="nothing answers"), "NOT JUDGED"),
    ],
    ids=["passed", "failed", "empty", "not judged"],
)
def test_the_head_says_how_it_ended(*, told: Report, ending: str) -> None:
    assert ending in page(told).text(within="p")


def test_what_was_not_tested_stands_beside_what_failed() -> None:
    seen = page(report(result(Verdict.NOT_TESTED)))
    assert "What failed" in seen.text(within="h2")
    assert "What was not tested" in seen.text(within="h2")
    assert "needs something" in seen.text()


def test_a_script_is_not_needed_to_see_anything() -> None:
    hidden = [attributes for tag, attributes in page(report(result(Verdict.FAIL))).tags if "hidden" in attributes]
    assert {attributes.get("class") for attributes in hidden} == {"copy", "filter"}


def test_a_name_that_is_no_name_of_a_place_is_none() -> None:
    seen = page(hostile_report())
    anchors = [attributes["id"] or "" for _, attributes in seen.tags if "id" in attributes]
    assert not any(HOSTILE in anchor for anchor in anchors)


def test_every_square_says_of_which_level_it_is_where_the_heads_of_the_columns_are_left_out() -> None:
    seen = page(report(result()))
    levels = [text for tag, text in seen.texts if tag == "th" and text in {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT"}]
    cells = [one for one in seen.all("td") if "data-level" in one]
    assert levels
    assert [one["data-level"] for one in cells[: len(levels)]] == levels
    assert "The bar counts checks" in seen.text()


def test_what_was_spent_is_told_where_something_could_be() -> None:
    page = report_to_html(paid_report())
    assert f"<dt>Spent</dt><dd>{SPENT.replace(chr(39), '&#39;')}</dd>" in page
    assert "Spent" not in report_to_html(report(result()))
