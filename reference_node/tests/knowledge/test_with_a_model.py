"""The whole way of a question with the packaged model: retrieved, read, judged."""

from pathlib import Path

from consilience_node.engines import Completion, Piece, StopCause
from consilience_node.engines.llama_cpp import LlamaCppEngine, LlamaCppOptions
from consilience_node.knowledge.confidence import Confidences
from consilience_node.knowledge.gate import Decision, evidence_of, judge
from consilience_node.knowledge.index import Index
from consilience_node.knowledge.prompt import grounded_prompt, grounded_sampling
from consilience_node.knowledge.retrieval import Retriever


async def test_the_packaged_model_reads_the_passage_and_is_judged_by_its_own_calibration(
    foldoc_index: Index, tmp_path: Path
) -> None:
    question = "What is a heisenbug?"
    found = Retriever(foldoc_index).retrieve(question)
    passages = found.passages[:1]
    engine = LlamaCppEngine(LlamaCppOptions(threads=1, generations=1, context_tokens=1024, cache_directory=tmp_path))
    await engine.start()
    try:
        prompt = grounded_prompt(question, passages=passages)
        items = [item async for item in engine.generate(prompt, sampling=grounded_sampling())]
        confidences = Confidences.of_model(engine.model.weights_sha256)
    finally:
        await engine.close()
    text = "".join(item.text for item in items if isinstance(item, Piece)).strip()
    completion = items[-1]
    assert isinstance(completion, Completion)
    evidence = evidence_of(
        text,
        question=question,
        passages=passages,
        topic=found.topic.rule,
        logprobs=completion.logprobs,
        finished=completion.stop is not StopCause.LENGTH,
    )
    # What exactly a small model writes differs a little between processors; that it reads the passage does not.
    assert "bug" in text
    assert evidence.support > 0.5
    assert evidence.mean_logprob is not None
    assert evidence.mean_logprob > -1
    verdict = judge(evidence)
    assert verdict.decision is not Decision.ABSTAIN
    assert (confidences.grounded(evidence) is not None) == (verdict.decision is Decision.ANSWER)
