import json

from consilience.identity import format_node_id
from consilience.server import RunningNode
from sdk.tests.cli.conftest import Run


def test_a_card_is_shown_as_a_person_reads_it(consilience: Run, running_node: RunningNode) -> None:
    done = consilience("card", running_node.address)
    assert done.returncode == 0
    for told in (format_node_id(running_node.node_id), "glossary.define", "Defines [terms].", "Tiny", "PUBLIC"):
        assert told in done.stdout


def test_a_card_in_json_names_its_digest_and_its_keys_in_text_form(consilience: Run, running_node: RunningNode) -> None:
    facts = json.loads(consilience("card", running_node.address, "--json").stdout)
    assert len(bytes.fromhex(facts["digest"])) == 32
    assert facts["card"]["node_id"] == format_node_id(running_node.node_id)
    assert facts["card"]["skills"][0]["model_ids"] == ["tiny"]


def test_another_node_than_expected_breaks_the_protocol(consilience: Run, running_node: RunningNode) -> None:
    stranger = format_node_id(b"\x58" + b"\x66" * 31)
    done = consilience("card", f"{stranger}@127.0.0.1:{running_node.port}")
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
