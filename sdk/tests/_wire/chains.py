"""One signed chain, card to answer, with a value in every field."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from consilience import asks, calls, nodes
from consilience._wire import envelopes
from consilience.envelopes import Signed
from consilience.identity import KeyPair
from consilience.tariffs import Backing, PricedUnit, Rail, Tariff, UnitPrice
from consilience.units import Digest, RequestId, Sequence, card_sequence

NOW = datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC)


class Chain(NamedTuple):
    node: KeyPair
    asker: KeyPair
    card: Signed[nodes.NodeCard]
    ask: Signed[asks.Ask]
    answer: Signed[asks.Answer]


def make_chain() -> Chain:
    """Returns the chain; the same one each time."""
    node, asker = KeyPair(b"n" * 32), KeyPair(b"a" * 32)
    card = envelopes.seal(full_card(node), signer=node)
    ask = envelopes.seal(full_ask(node, asker, card.digest), signer=asker)
    answer = envelopes.seal(full_answer(node, ask.digest, card.digest), signer=node)
    return Chain(node, asker, card, ask, answer)


def full_card(node: KeyPair) -> nodes.NodeCard:
    limits = nodes.Limits(
        max_message_bytes=1 << 20,
        max_turns=32,
        max_input_bytes=1 << 19,
        max_input_tokens=2048,
        max_output_tokens=512,
        max_running_asks=16,
        max_running_asks_per_caller=4,
        max_run_time=timedelta(minutes=5, microseconds=1),
        answer_retention=timedelta(hours=24),
        max_readers_per_answer=8,
        max_quotes_per_minute=60,
    )
    quality = nodes.MeasuredQuality(
        dataset_name="quiz", dataset_digest=b"q" * 32, sample_count=300, score_milli=385, calibration_digest=b"c" * 32
    )
    skill = nodes.Skill(
        id="computing.define",
        description="Defines terms.",
        domains=("computing",),
        languages=("en",),
        input_media_types=("text/plain",),
        output_media_type="text/plain",
        input_schema='{"type":"string"}',
        output_schema='{"type":"string"}',
        accepts_answer_schema=True,
        gives_citations=True,
        gives_confidence=True,
        gives_intake=True,
        model_ids=("smollm2",),
        limits=nodes.Limits(max_turns=1),
        max_data_class=nodes.DataClass.INTERNAL,
        measured_quality=(quality,),
        knowledge_time=NOW,
        tariff_ids=("standard",),
    )
    return nodes.NodeCard(
        node_id=node.public_key,
        sequence=card_sequence(NOW),
        expire_time=NOW + timedelta(days=7),
        name="foldoc",
        description="A dictionary of computing.",
        next_root_digest=b"r" * 32,
        signing_keys=(nodes.SigningKey(public_key=node.public_key, expire_time=NOW + timedelta(days=30)),),
        endpoints=(
            nodes.Endpoint(
                uri="https://node.example:7341",
                tls_mode=nodes.TlsMode.PINNED,
                spki_sha256=b"p" * 32,
                next_spki_sha256=b"s" * 32,
            ),
        ),
        skills=(skill,),
        models=(full_model(),),
        tariffs=(full_tariff(),),
        rails=(full_rail(node),),
        limits=limits,
        data_policy=nodes.DataPolicy(
            max_data_class=nodes.DataClass.CONFIDENTIAL,
            stores_asks=True,
            trains_on_asks=True,
            forwards_asks=True,
            jurisdictions=("DE",),
        ),
        profiles=(nodes.Profile.CORE, nodes.Profile.DURABLE, nodes.Profile.PAY),
        extensions={"https://example.org/x": b"\n\x01t\x12\x01v"},
        registries=("https://registry.example:7341",),
    )


def full_model() -> nodes.Model:
    return nodes.Model(
        id="smollm2",
        family="SmolLM2",
        parameter_count=135_000_000,
        quantization="Q4_1",
        weights_digest=b"w" * 32,
        context_length_tokens=2048,
        adapters=("foldoc",),
        engine="llama.cpp 0.3.36",
    )


def full_tariff() -> Tariff:
    return Tariff(
        id="standard",
        asset="TEST/0",
        prices=(UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=3, per=10, included=5),),
        minimum_charge=1,
        tokenizer="SmolLM2-135M",
        model_ids=("smollm2",),
    )


def full_rail(node: KeyPair) -> Rail:
    return Rail(
        id="hold.v1",
        network="test",
        assets=("TEST/0",),
        backings=(Backing.PREPAID, Backing.ESCROW),
        issuers=(node.public_key,),
        max_credit=100,
        min_deposit=1,
        max_deposit=1000,
    )


def full_ask(node: KeyPair, asker: KeyPair, card_digest: Digest) -> asks.Ask:
    header = calls.CallHeader(
        method=asks.ASK_METHOD,
        audience=node.public_key,
        caller=asker.public_key,
        request_id=RequestId(b"i" * 16),
        issue_time=NOW,
        expire_time=NOW + timedelta(minutes=2),
        required_extensions=("https://example.org/x",),
        extensions={"https://example.org/x": b"\n\x01t\x12\x01v"},
    )
    return asks.Ask(
        header=header,
        skill_id="computing.define",
        card_digest=card_digest,
        turns=(
            asks.Turn(role=asks.Role.ASKER, parts=("What is a heisenbug?", asks.Blob(media_type="a/b", data=b"\0"))),
            asks.Turn(role=asks.Role.NODE, parts=("A bug.",)),
        ),
        data_class=nodes.DataClass.PUBLIC,
        limits=asks.AskLimits(
            max_output_tokens=64, max_hidden_tokens=0, deadline=NOW + timedelta(minutes=1), max_charge=50
        ),
        answer_schema='{"type":"string"}',
        on_disconnect=asks.OnDisconnect.CANCEL,
        allow_truncation=True,
        model_id="smollm2",
        payment=asks.AskPayment(quote_digest=Digest(b"o" * 32), session_id=Digest(b"s" * 32)),
        reviewer_commitment=b"v" * 32,
    )


def full_answer(node: KeyPair, ask_digest: Digest, card_digest: Digest) -> asks.Answer:
    document = asks.DocumentSource(
        uri="foldoc:heisenbug",
        title="heisenbug",
        digest=b"d" * 32,
        place=asks.ByteSpan(start_byte=3, end_byte=9),
        retrieval_time=NOW,
        quote="a bug ",
    )
    return asks.Answer(
        node_id=node.public_key,
        signing_key=node.public_key,
        card_digest=card_digest,
        ask_digest=ask_digest,
        outcome=asks.Outcome.ANSWERED,
        stop_reason=asks.StopReason.COMPLETE,
        charged=True,
        detail="whole",
        transcript_digest=Digest(b"t" * 32),
        transcript_bytes=9,
        final_sequence=Sequence(7),
        confidence=asks.Confidence(
            method="mean-logprob", p_correct=0.75, lower=0.5, upper=0.9, sample_count=3, calibration_digest=b"k" * 32
        ),
        citations=(
            asks.Citation(origin=document, answer_span=asks.ByteSpan(start_byte=0, end_byte=9)),
            asks.Citation(origin=Digest(b"o" * 32)),
        ),
        model=full_model(),
        intake=asks.Intake(
            prompt_tokens_received=100,
            prompt_tokens_used=90,
            prompt_tokens_dropped=10,
            dropped_side=asks.DroppedSide.START,
            retrieval_strategy="headword,bm25",
            chunks=(asks.RetrievedChunk(document=document, score=1.5, used=True),),
        ),
        usage=asks.Usage(
            input_tokens=90,
            cached_input_tokens=40,
            output_tokens=20,
            hidden_tokens=1,
            output_bytes=9,
            duration=timedelta(seconds=1, microseconds=5),
        ),
        accept_time=NOW,
        finish_time=NOW + timedelta(seconds=1),
    )
