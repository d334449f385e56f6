import json
from pathlib import Path

import pytest

from consilience.errors import UsageError
from consilience.identity import format_node_id
from consilience.network.reputation import Verification, read_evidence
from consilience.network.trust_edges import TrustEdge
from sdk.tests.network.reputation.scenes import ME, NODE, key

OWN = {
    "subject": format_node_id(NODE),
    "domain": "units",
    "score_milli": 750,
    "verification": "TOOL",
    "time": "2026-05-01T12:00:00Z",
}


def written(folder: Path, *lines: object) -> Path:
    file = folder / "evidence.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return file


def test_judgements_and_edges_are_read_in_their_order(tmp_path: Path) -> None:
    edge = {"truster": format_node_id(key("ann")), "trusted": format_node_id(key("bob")), "weight": 0.5}
    review = OWN | {"judge": format_node_id(key("ann")), "paid_bucket": 2, "verification": "HUMAN"}
    found = read_evidence(written(tmp_path, OWN, "", edge, review), viewer=ME)
    mine, hers = found.evidence
    assert (mine.judge, mine.subject, mine.score_milli, mine.verification) == (ME, NODE, 750, Verification.TOOL)
    assert (hers.judge, hers.paid_bucket, hers.verification) == (key("ann"), 2, Verification.HUMAN)
    assert found.edges == (TrustEdge(truster=key("ann"), trusted=key("bob"), weight=0.5),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 of .* is no evidence"),
        ("[]", "it is no object"),
        ("[" * 100_000, "line 2 of .* is no evidence"),
        ({**OWN, "subject": "cn1"}, "not a node id"),
        ({**OWN, "subject": 5}, "a node id is a text"),
        ({**OWN, "score_milli": 0.75}, "is no int"),
        ({**OWN, "score_milli": True}, "is no int"),
        ({**OWN, "score_milli": 1001}, "0 to 1000"),
        ({**OWN, "verification": "MAYBE"}, "GROUND_TRUTH, TOOL"),
        ({**OWN, "verification": []}, "line 2 of .* is no evidence"),
        ({**OWN, "time": "yesterday"}, "yesterday"),
        ({**OWN, "time": "2026-05-01T12:00:00"}, "aware"),
        ({**OWN, "time": 0}, "texts"),
        ({**OWN, "verdict": "CORRECT"}, "nothing is called verdict"),
        ({"subject": OWN["subject"]}, "line 2 of .* lacks 'verification'"),
        ({"truster": OWN["subject"]}, "lacks 'trusted'"),
        ({"truster": OWN["subject"], "trusted": OWN["subject"], "weight": 2}, "weight of a trust edge"),
        ({"truster": OWN["subject"], "trusted": OWN["subject"], "weight": 10**400}, "weight of .* to 1, not 1000"),
        ({"truster": OWN["subject"], "trusted": OWN["subject"], "weight": 1e-310}, "weight of .* from 0.000001 to 1"),
        ({**OWN, "paid_bucket": 10**400}, "bucket of amounts is 0 to 64, not 1000"),
        ({**OWN, "paid_bucket": -1}, "bucket of amounts is 0 to 64"),
        ({**OWN, "score_milli": 10**400}, "0 to 1000 thousandths"),
    ],
)
def test_a_line_that_is_no_evidence_is_named(tmp_path: Path, line: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_evidence(written(tmp_path, OWN, line), viewer=ME)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_evidence(tmp_path / "absent", viewer=ME)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        read_evidence(tmp_path / "bytes", viewer=ME)
