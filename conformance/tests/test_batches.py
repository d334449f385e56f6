"""The judge of a batch, by transcripts made by hand: silent where all is well, and aware of each thing that is not."""

import pytest

from conformance.tests.made_transcripts import refusal
from consilience.v1 import ask_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.batches import Defect, batch
from consilience_conformance.checks import Check
from consilience_conformance.signed_calls import ASKING, CANCELLING, GETTING, Method
from consilience_conformance.transcripts import Ended, Exchange, Response, Transcript

DEFECTS = (
    Defect(name="unsigned", requirement="SIG-ENV-003", reason="SIGNATURE_MISSING", spoil=lambda *_: b""),
    Defect(name="elsewhere", requirement="SIG-HDR-002", reason="AUDIENCE_WRONG", spoil=lambda *_: b""),
)


def accepted(name: str, *, data: bytes = b"") -> Exchange:
    return Exchange(
        name=name,
        method="any",
        request=b"",
        began=0.0,
        ended_at=1.0,
        ended=Ended.STATUS,
        responses=(Response(at=0.5, data=data),),
        code="OK",
    )


def check_of(method: Method) -> Check:
    return batch("a-batch", title="Refused.", method=method, defects=DEFECTS)


def transcript(*others: Exchange, method: Method = ASKING) -> Transcript:
    """Returns a transcript of a good node, but for some exchanges."""
    good = [
        accepted("control-before"),
        refusal("unsigned", "SIGNATURE_MISSING"),
        refusal("elsewhere", "AUDIENCE_WRONG"),
        refusal("state", "ANSWER_UNKNOWN") if method is ASKING else accepted("state"),
        accepted("control-after"),
    ]
    names = {other.name for other in others}
    return Transcript(check="a-batch", exchanges=[*(one for one in good if one.name not in names), *others])


@pytest.mark.parametrize("method", [ASKING, GETTING, CANCELLING])
def test_a_good_node_passes(method: Method) -> None:
    assert list(check_of(method).judge(transcript(method=method))) == []


@pytest.mark.parametrize(
    ("exchange", "requirement", "message"),
    [
        (refusal("control-before", "STALE_CARD"), "SIG-ENV-003", "control-before was not accepted"),
        (accepted("unsigned"), "SIG-ENV-003", "unsigned was accepted"),
        (refusal("elsewhere", "METHOD_WRONG"), "SIG-HDR-002", "elsewhere was not refused for this reason"),
        (accepted("state"), "ASK-IDEM-005", "state was accepted"),
        (refusal("control-after", "REQUEST_ID_REUSED"), "ASK-IDEM-005", "control-after was not accepted"),
    ],
)
def test_each_oracle_sees_what_is_wrong(exchange: Exchange, requirement: str, message: str) -> None:
    (finding,) = check_of(ASKING).judge(transcript(exchange))
    assert (finding.requirement, finding.message) == (requirement, message)


def test_a_refused_cancellation_that_cancels_is_seen() -> None:
    answer = ask_pb2.Answer(stop_reason=ask_pb2.STOP_REASON_CANCELLED)
    final = ask_pb2.Final(answer=SignedEnvelope(payload=answer.SerializeToString()))
    state = accepted("state", data=ask_pb2.GetAnswerResponse(final=final).SerializeToString())
    (finding,) = check_of(CANCELLING).judge(transcript(state, method=CANCELLING))
    assert finding.message == "a refused CancelAnswer stopped the work"
    assert list(check_of(GETTING).judge(transcript(state, method=GETTING))) == []


def test_a_batch_names_what_its_defects_are_about_and_that_nothing_is_bound() -> None:
    assert check_of(ASKING).requirements == ("SIG-ENV-003", "SIG-HDR-002", "ASK-IDEM-005")
    assert check_of(GETTING).requirements == ("SIG-ENV-003", "SIG-HDR-002")


def test_the_judge_says_the_same_of_a_transcript_that_was_written_down() -> None:
    seen = transcript(accepted("unsigned"), accepted("state"))
    again = Transcript.from_json(seen.to_json())
    assert list(check_of(ASKING).judge(again)) == list(check_of(ASKING).judge(seen))
