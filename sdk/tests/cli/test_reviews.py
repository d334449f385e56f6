"""Finding, judging and warning on the command line, with two registries of one's own."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from consilience.identity import KeyPair, format_node_id
from consilience.server import Node, Registry, RunningNode
from consilience.testing import serving_in_thread
from sdk.tests.cli.conftest import Run


@pytest.fixture
def registries(tmp_path: Path) -> Iterator[list[RunningNode]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                serving_in_thread(
                    Node(
                        f"registry {number}",
                        key=KeyPair.generate(),
                        registry=Registry(store=f"sqlite:////{tmp_path}/records-{number}.db"),
                    )
                )
            )
            for number in range(2)
        ]


@pytest.fixture
def here(registries: list[RunningNode], environment: dict[str, str]) -> list[str]:
    """The addresses of the registries, which the command line finds in its environment."""
    addresses = [registry.address for registry in registries]
    environment["CONSILIENCE_REGISTRIES"] = " ".join(addresses)
    return addresses


def test_a_card_is_found_by_the_id_of_its_node_alone(
    consilience: Run, registries: list[RunningNode], here: list[str]
) -> None:
    shown = consilience("card", format_node_id(registries[0].node_id), "--json", "--registry", here[0])
    assert json.loads(shown.stdout)["digest"] == registries[0].card.digest.hex()
    unknown = consilience("card", format_node_id(KeyPair.generate().public_key))
    assert unknown.returncode == 3
    assert "RECORD_UNKNOWN" in unknown.stderr


def test_a_node_is_asked_by_its_id_alone(
    consilience: Run, running_node: RunningNode, here: list[str], environment: dict[str, str]
) -> None:
    node = format_node_id(running_node.node_id)
    assert consilience("publish", running_node.address, "--registry", here[0]).returncode == 0
    assert consilience("publish", node).returncode == 0
    asked = consilience("ask", "What is a heisenbug?", "--node", node)
    assert (asked.returncode, asked.stdout.strip()) == (0, "a bug that disappears")
    assert "glossary.define" in consilience("prices", node).stdout

    del environment["CONSILIENCE_REGISTRIES"]
    for words in (("ask", "What?", "--node", node), ("card", node), ("prices", node)):
        lost = consilience(*words)
        assert lost.returncode == 2
        assert "--registry or CONSILIENCE_REGISTRIES" in " ".join(lost.stderr.split())


def test_an_answer_is_reviewed_by_one_command_and_read_by_another(
    consilience: Run, running_node: RunningNode, here: list[str]
) -> None:
    asked = consilience("ask", "What is a heisenbug?", "--node", running_node.address)
    assert "consilience review" in asked.stderr
    said = consilience("review", "--verdict", "partly-correct", "--how", "human", "--comment", "[b]Not all.", "--json")
    facts = json.loads(said.stdout)
    assert facts["outcomes"] == dict.fromkeys(here, "STORED")
    node = format_node_id(running_node.card.value.node_id)
    read = consilience("about", node)
    for told in ("partly_correct (human)", "[b]Not all.", facts["record"]):
        assert told in read.stdout
    other = consilience("review", "--verdict", "wrong")
    assert other.returncode == 2
    assert f"by the record {facts['record']}, which says verdict partly-correct, comment '[b]Not all.'" in other.stderr

    taken_back = consilience("retract", facts["record"])
    assert taken_back.returncode == 0
    assert json.loads(consilience("about", node, "--json").stdout) == {"opinions": [], "faults": []}


def test_an_answer_is_named_by_its_request_id(consilience: Run, running_node: RunningNode, here: list[str]) -> None:
    first = json.loads(consilience("ask", "One?", "--node", running_node.address, "--json").stdout)
    consilience("ask", "Two?", "--node", running_node.address)
    said = consilience("review", first["request_id"][:12], "--verdict", "wrong", "--registry", here[0], "--json")
    assert list(json.loads(said.stdout)["outcomes"]) == [here[0]]
    for name in ("zz", "00000000"):
        unknown = consilience("review", name, "--verdict", "wrong")
        assert unknown.returncode == 2


def test_what_is_said_at_one_registry_and_then_at_another_is_one_record(
    consilience: Run, running_node: RunningNode, here: list[str], tmp_path: Path
) -> None:
    key = KeyPair.generate()
    key.save(tmp_path / "root.key")
    node, answers = format_node_id(key.public_key), ("--comment", "I do not.", "--key", str(tmp_path / "root.key"))

    def said(*words: str) -> str:
        one, other = (json.loads(consilience(*words, "--json", "--registry", place).stdout) for place in here)
        assert (one["was_said"], other["was_said"]) == (False, True)
        assert other["outcomes"] == {here[1]: "STORED"}
        assert one["record"] == other["record"]
        return str(one["record"])

    consilience("ask", "What is a heisenbug?", "--node", running_node.address)
    said("review", "--verdict", "wrong", "--comment", "No.")
    warning = said("warn", node, "--category", "fraud", "--severity", "high", "--summary", "It lies.")
    said("rebut", warning, *answers)
    assert "signed before" in consilience("rebut", warning, *answers).stdout
    said("retract", warning)
    for about in (running_node.address, node):
        assert json.loads(consilience("about", about, "--json").stdout)["faults"] == []


def test_who_asked_nothing_has_nothing_to_review(consilience: Run) -> None:
    done = consilience("review", "--verdict", "wrong")
    assert done.returncode == 2
    assert "nothing was asked yet" in done.stderr


def test_a_node_answers_a_warning(
    consilience: Run, tmp_path: Path, registries: list[RunningNode], here: list[str]
) -> None:
    key = KeyPair.generate()
    key.save(tmp_path / "root.key")
    node = format_node_id(key.public_key)
    warned = consilience("warn", node, "--category", "fraud", "--severity", "high", "--summary", "It lies.", "--json")
    record = json.loads(warned.stdout)["record"]
    assert consilience("rebut", record, "--comment", "I do not.", "--key", str(tmp_path / "root.key")).returncode == 0
    (opinion,) = json.loads(consilience("about", node, "--json").stdout)["opinions"]
    assert (opinion["says"], opinion["words"], opinion["rebuttal"]) == ("fraud (high)", "It lies.", "I do not.")
    stranger = consilience("rebut", record, "--comment", "Nor do I.")
    assert stranger.returncode == 2
    assert "is not the node that this is about" in stranger.stderr
    assert "Name the file of the key that the message asks for: --key." in stranger.stderr


def test_a_model_is_warned_of_by_the_digest_of_its_weights(consilience: Run, here: list[str]) -> None:
    options = ("--category", "harmful", "--severity", "low", "--summary", "It is rude.")
    assert consilience("warn", f"sha256:{'ab' * 32}", *options).returncode == 0
    assert consilience("warn", "sha256:ab", *options).returncode == 2


def test_nodes_are_found_and_a_registry_that_is_behind_is_told_of(
    consilience: Run, running_node: RunningNode, here: list[str], tmp_path: Path
) -> None:
    card = consilience("card", running_node.address, "--json")
    assert card.returncode == 0
    published = consilience("publish", running_node.address, "--registry", here[0])
    assert published.returncode == 0
    found = consilience("find", "--language", "en", "--near", "Which terms?")
    assert format_node_id(running_node.card.value.node_id) in found.stdout
    assert f"{here[1]} is behind" in found.stderr
    again = json.loads(consilience("find", "--language", "en", "--json").stdout)
    assert [node["name"] for node in again["nodes"]] == ["glossary"]
    assert again["faults"] == []


def test_a_node_that_is_no_registry_is_told_to_be_none(consilience: Run, running_node: RunningNode) -> None:
    address = running_node.address
    for words in (("find",), ("about", address), ("publish", address)):
        done = consilience(*words, "--registry", address)
        assert done.returncode == 2
        assert f"the node at {address} is no registry\nName the address of a registry" in done.stderr


def test_who_finds_nobody_and_reads_nothing_is_told_so(
    consilience: Run, running_node: RunningNode, here: list[str]
) -> None:
    found = consilience("find", "--domain", "law")
    assert (found.returncode, found.stdout) == (0, "")
    assert "No node is known there" in found.stderr
    read = consilience("about", running_node.address)
    assert (read.returncode, read.stdout) == (0, "")
    assert "Nothing is said there" in read.stderr


def test_a_node_is_warned_of_by_its_address_and_what_is_said_of_it_explained(
    consilience: Run, running_node: RunningNode, here: list[str]
) -> None:
    options = ("--category", "unreliable", "--severity", "low", "--summary", "It is slow.")
    assert consilience("warn", running_node.address, *options).returncode == 0
    consilience("ask", "What is a heisenbug?", "--node", running_node.address)
    consilience("review", "--verdict", "correct", "--how", "tool", "--domain", "bugs")
    node = format_node_id(running_node.card.value.node_id)
    explained = json.loads(consilience("trust", "explain", node, "--domain", "bugs", "--json").stdout)
    assert explained["score"]["own"]["items"] == 1
    assert explained["score"]["mean"] > 0.5
    unknown = json.loads(consilience("trust", "explain", node, "--domain", "law", "--json").stdout)
    assert unknown["score"]["own"]["items"] == 0


def test_a_review_counts_in_the_one_domain_of_the_skill(
    consilience: Run, running_node: RunningNode, here: list[str]
) -> None:
    node = format_node_id(running_node.node_id)
    consilience("ask", "What is a heisenbug?", "--node", running_node.address)
    assert "bugs" in consilience("review", "--verdict", "correct", "--how", "tool").stdout
    assert "bugs" in consilience("about", node).stdout
    explained = json.loads(consilience("trust", "explain", node, "--domain", "bugs", "--json").stdout)
    assert (explained["score"]["own"]["items"], explained["elsewhere"]) == (1, {})
    assert "bugs: 1; it does not count here" in consilience("trust", "explain", node).stdout


def test_of_several_domains_one_is_asked_for_before_anything_is_sent(
    consilience: Run, running_node: RunningNode, here: list[str]
) -> None:
    node = format_node_id(running_node.node_id)
    consilience("ask", "bug", "--node", running_node.address, "--skill", "glossary.echo")
    undecided = consilience("review", "--verdict", "correct", "--how", "tool")
    assert undecided.returncode == 2
    assert "several for glossary.echo: bugs, words" in undecided.stderr
    mistaken = consilience("review", "--verdict", "correct", "--how", "tool", "--domain", "wrods")
    assert mistaken.returncode == 2
    assert "does not name the domain wrods for glossary.echo: bugs, words" in mistaken.stderr
    assert "Nothing is said there" in consilience("about", node).stderr

    assert consilience("review", "--verdict", "correct", "--how", "tool", "--domain", "words").returncode == 0
    explained = json.loads(consilience("trust", "explain", node, "--domain", "words", "--json").stdout)
    assert explained["score"]["own"]["items"] == 1


@pytest.mark.parametrize(
    ("skill", "words"),
    [("glossary.abstain", ()), ("glossary.define", ("--domain", ""))],
    ids=["none named", "none said"],
)
def test_a_review_without_a_domain_is_told_to_be_one_and_shown(
    consilience: Run, running_node: RunningNode, here: list[str], skill: str, words: tuple[str, ...]
) -> None:
    node = format_node_id(running_node.node_id)
    consilience("ask", "What is a heisenbug?", "--node", running_node.address, "--skill", skill)
    said = consilience("review", "--verdict", "wrong", "--how", "tool", *words)
    assert "none, and scores in a domain do not count it" in said.stdout
    assert "without a domain: 1" in consilience("trust", "explain", node, "--domain", "bugs").stdout
    explained = json.loads(consilience("trust", "explain", node, "--json").stdout)
    assert (explained["score"]["domain"], explained["score"]["own"]["items"]) == ("", 1)


@pytest.mark.parametrize(
    "words",
    [
        ("find", "--domain", "law"),
        ("about", "127.0.0.1:1"),
        ("publish", "127.0.0.1:1"),
        ("warn", "127.0.0.1:1", "--category", "fraud", "--severity", "low", "--summary", "It lies."),
        ("retract", "ab" * 32),
        ("rebut", "ab" * 32, "--comment", "No."),
    ],
)
def test_without_a_registry_the_option_is_named(consilience: Run, words: tuple[str, ...]) -> None:
    done = consilience(*words)
    assert done.returncode == 2
    assert "Missing option '--registry' (env var: 'CONSILIENCE_REGISTRIES')" in done.stderr


def test_a_review_needs_a_registry_where_the_card_names_none(consilience: Run, running_node: RunningNode) -> None:
    consilience("ask", "What is a heisenbug?", "--node", running_node.address)
    done = consilience("review", "--verdict", "correct")
    assert done.returncode == 2
    assert "names no registry: use --registry" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("find", "--domain", "Law"), "'Law' can be no name: write small letters"),
        (("review", "--verdict", "wrong", "--how", "cross-check"), "--independent-nodes go together"),
        (("review", "--verdict", "wrong", "--independent-nodes", "2"), "--independent-nodes go together"),
        (("about", "feet"), "'feet' is not a node id"),
        (("trust", "explain", "feet", "--domain", "units"), "`consilience card ADDRESS` shows it"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_sent(
    consilience: Run, here: list[str], words: tuple[str, ...], said: str
) -> None:
    done = consilience(*words)
    assert done.returncode == 2
    assert said in done.stderr
