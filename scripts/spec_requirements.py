"""The requirements of the specification, read from its pages: `python -m scripts.spec_requirements` counts them.

A requirement is a list item of this form, in which the first sentence has exactly one word in capitals (RFC 8174) and
what follows explains:

    - **SIG-ENV-002** (both) A reader MUST verify the payload as received before it parses it.
    - **ASK-DUR-001** (node, durable) The node MUST keep ...
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from consilience_conformance.requirements import Requirement, digest_of
from scripts.machine_cache import ROOT
from scripts.spec_regions import pages, without_regions

AREAS = ("NODE", "ASK", "STRM", "PAY", "REV", "REC", "REG", "ERR", "SIG", "VER", "SEC")
ROLES = ("node", "client", "both")
PROFILES = ("core", "durable", "pay", "registry", "conformance")
DRAWN = ROOT / "conformance/src/consilience_conformance/requirements.json"
REFERENCE = re.compile(rf"\b(?:{'|'.join(AREAS)})-[A-Z]+-[0-9]{{3}}\b")

_ITEM = re.compile(r"^- \*\*(?P<id>[A-Z0-9-]+)\*\* \((?P<role>\w+)(?:, (?P<profile>\w+))?\) (?P<text>.*)", re.DOTALL)
_NORMATIVE = re.compile(
    r"\b(MUST NOT|MUST|SHALL NOT|SHALL|SHOULD NOT|SHOULD|MAY|REQUIRED|RECOMMENDED|NOT RECOMMENDED|OPTIONAL)\b"
)
_LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY")
_SENTENCE_END = re.compile(r"(?<=[A-Za-z0-9`)\"])\.(?=\s+(?:[A-Z`]|gRPC)|$)")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (?P<title>.*)$")
_SOURCES = ("proto/consilience", "sdk/src", "reference_node/src", "conformance/src", "docs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A block of text between blank lines, or one list item; white space as single spaces."""

    page: str
    anchor: str
    text: str


def paragraphs(text: str, *, page: str) -> Iterator[Paragraph]:
    """Yields the paragraphs of a page that people wrote: without code, comments and drawn regions."""
    anchor, lines = "", list[str]()
    plain = re.sub(r"<!--.*?-->", "", _FENCE.sub("", without_regions(text)), flags=re.DOTALL)
    for line in [*plain.splitlines(), ""]:
        heading = _HEADING.match(line)
        begins = line.lstrip().startswith(("- ", "* ", "|")) or re.match(r"\s*\d+\. ", line)
        if lines and (not line.strip() or heading or begins):
            yield Paragraph(page=page, anchor=anchor, text=" ".join(" ".join(lines).split()))
            lines = []
        if heading:
            anchor = re.sub(r"[^\w -]", "", heading["title"].lower()).replace(" ", "-")
        elif line.strip():
            lines.append(line)


def requirement_of(paragraph: Paragraph) -> Requirement | None:
    """Returns the requirement of a paragraph, or None where it is none.

    Raises:
        ValueError: It says something normative, and is not of the form of a requirement.
    """
    found = _ITEM.match(paragraph.text)
    words = _NORMATIVE.findall(paragraph.text)
    if found is None:
        if words:
            raise ValueError(f"{paragraph.page}: {words[0]} without an id: {paragraph.text[:80]}")
        return None
    sentence = _LINK.sub(r"\1", _SENTENCE_END.split(found["text"], maxsplit=1)[0]) + "."
    where = f"{paragraph.page}: {found['id']}"
    if len(words) != 1 or _NORMATIVE.findall(sentence) != words:
        raise ValueError(f"{where} has {words} where one word in the first sentence is wanted")
    if words[0] not in _LEVELS:
        raise ValueError(f"{where} says {words[0]}; the levels are {', '.join(_LEVELS)}")
    if not REFERENCE.fullmatch(found["id"]):
        raise ValueError(f"{where} is no id of the form AREA-TOPIC-NNN")
    profile = found["profile"] or "core"
    if found["role"] not in ROLES or profile not in PROFILES:
        raise ValueError(f"{where} is for ({found['role']}, {profile})")
    return Requirement(
        id=found["id"],
        level=words[0],
        role=found["role"],
        profile=profile,
        page=paragraph.page,
        anchor=paragraph.anchor,
        sentence=sentence,
    )


def spec_requirements() -> tuple[Requirement, ...]:
    """Returns every requirement, in the order of the pages.

    Raises:
        ValueError: Something normative is not of the form of a requirement, or an id stands twice.
    """
    blocks = (block for page in pages() for block in paragraphs(page.read_text(), page=page.name))
    found = tuple(requirement for block in blocks if (requirement := requirement_of(block)) is not None)
    twice = [name for name, count in Counter(requirement.id for requirement in found).items() if count > 1]
    if twice:
        raise ValueError(f"defined twice: {', '.join(twice)}")
    return found


def drawn(found: Iterable[Requirement]) -> str:
    """Returns the content of `requirements.json`, by which the judge knows the requirements."""
    found = tuple(found)
    content = {
        "formatVersion": 1,
        "protocol": "consilience.v1",
        "schema": "requirements.schema.json",
        "setDigest": digest_of(found),
        "requirements": [{**asdict(requirement), "sha256": requirement.digest} for requirement in found],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def references() -> dict[str, list[str]]:
    """Returns where each id is referred to in protos, sources and documents, by the paths of the files."""
    places: dict[str, list[str]] = {}
    for folder in _SOURCES:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in {".proto", ".py", ".md", ".json"} and not file.name.endswith("_pb2.py"):
                for name in sorted(set(REFERENCE.findall(file.read_text()))):
                    places.setdefault(name, []).append(str(file.relative_to(ROOT)))
    return places


def undefined_references() -> dict[str, list[str]]:
    """Returns the ids that are referred to and defined nowhere."""
    defined = {requirement.id for requirement in spec_requirements()}
    return {name: places for name, places in references().items() if name not in defined}


def unnumbered_proto_sentences(proto: Path) -> list[str]:
    """Returns the sentences in the comments of a proto that are normative and name no requirement."""
    comments = re.findall(r"^\s*// ?(.*)$", proto.read_text(), flags=re.MULTILINE)
    sentences = _SENTENCE_END.split(" ".join(comments))
    return [
        sentence.strip() for sentence in sentences if _NORMATIVE.search(sentence) and not REFERENCE.search(sentence)
    ]


def _count(found: Iterable[Requirement]) -> None:
    counts = Counter((requirement.profile, requirement.level.removesuffix(" NOT")) for requirement in found)
    for (profile, level), count in sorted(counts.items()):
        print(f"{profile:11} {level:7} {count:3}")
    for name, places in undefined_references().items():
        print(f"undefined: {name} in {', '.join(places)}")


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description="Count the requirements of the specification, or draw them.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="draw requirements.json from the pages")
    action.add_argument("--check", action="store_true", help="change nothing, and fail where it is stale")
    arguments = parser.parse_args()
    try:
        found = spec_requirements()
    except ValueError as error:
        sys.exit(str(error))
    if arguments.write:
        DRAWN.write_text(drawn(found), encoding="utf-8")
    elif not arguments.check:
        _count(found)
    elif DRAWN.read_text(encoding="utf-8") != drawn(found):
        sys.exit(f"stale: {DRAWN.name}; run `make docs`")


if __name__ == "__main__":
    main()
