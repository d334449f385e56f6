from consilience.telemetry import SILENT, TracedAsk
from sdk.tests._wire.chains import make_chain


def test_what_may_be_told_of_an_ask_is_who_and_what_kind_but_not_the_question() -> None:
    ask = make_chain().ask.value
    assert TracedAsk.of(ask) == TracedAsk(
        node_id=ask.header.audience,
        caller=ask.header.caller,
        request_id=ask.header.request_id,
        skill_id=ask.skill_id,
        model_id=ask.model_id,
        max_output_tokens=ask.limits.max_output_tokens,
    )


def test_the_default_tells_nobody_whatever_happens() -> None:
    chain = make_chain()
    told = TracedAsk.of(chain.ask.value)
    for trace in (SILENT.asking(told, authority="127.0.0.1:7341"), SILENT.answering(told, metadata=())):
        with trace.active():
            trace.accepted()
            trace.first_text()
            trace.reconnected()
        trace.finished(chain.answer.value)
        trace.failed(ValueError())
        trace.abandoned()
        assert trace.metadata == ()
