"""What the demo shows about reviews: how the answer is judged, what is published, and what it comes to."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from consilience.asks import ByteSpan, DocumentSource, Outcome
from consilience.cli.printing import facts_table
from consilience.client import AskResult, Check
from consilience.client.reviews import Opinions, Publication
from consilience.envelopes import Signed, verify
from consilience.errors import RefusedError
from consilience.identity import KeyPair, format_node_id
from consilience.network.reputation import Reputation
from consilience.network.review_evidence import evidence_of
from consilience.reviews import OpenRecord, Review, Verdict, place_of
from consilience.reviews.finding import words_of
from consilience.units import PublicKey, utc_now
from examples.demo.finding import DOMAIN, shown

DICTIONARY = Path(__file__).parent.parent / "knowledge" / "foldoc" / "foldoc.dict.dz"
"""The asker's own copy of what the specialist cites. Whether the dictionary is right, nobody here can tell."""

FAITHFUL = 0.9
"""The share of the words of an answer that have to stand in its source, so that it says what its source says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a program finds of an answer, and why, in a sentence that is published."""

    verdict: Verdict
    reason: str


def judge(result: AskResult, *, question: str) -> Judgement:
    """Holds an answer against the source that it cites, in a copy of one's own; no person and no model judges.

    It is correct if it quotes its source to the letter, under a headword that was asked about, and nearly all of its
    words stand in the quote. Where the words are others, a program cannot tell.
    """
    if result.outcome not in (Outcome.ANSWERED, Outcome.TRUNCATED):
        return Judgement(verdict=Verdict.UNVERIFIABLE, reason="It did not answer.")
    document = gzip.decompress(DICTIONARY.read_bytes())
    digest = hashlib.sha256(document).digest()
    origins = [citation.origin for citation in result.citations]
    cited = [origin for origin in origins if isinstance(origin, DocumentSource) and origin.digest == digest]
    if not cited:
        return Judgement(verdict=Verdict.UNVERIFIABLE, reason="It cites no document of which I have a copy.")
    if not all(_stands(origin, document=document) for origin in cited):
        return Judgement(verdict=Verdict.WRONG, reason="It quotes what does not stand in its source.")
    asked = set(words_of(question))
    if not any(asked.issuperset(words_of(origin.title)) for origin in cited):
        return Judgement(verdict=Verdict.UNVERIFIABLE, reason="It cites an entry that was not asked for by its name.")
    source = asked.union(*(words_of(origin.quote) for origin in cited))
    written = words_of(result.text)
    stand = sum(word in source for word in written)
    verdict = Verdict.CORRECT if stand >= FAITHFUL * len(written) else Verdict.UNVERIFIABLE
    reason = (
        f"{stand} of its {len(written)} words stand in the entry that it quotes, which my copy of the dictionary has."
    )
    return Judgement(verdict=verdict, reason=reason)


def _stands(origin: DocumentSource, *, document: bytes) -> bool:
    place = origin.place
    return isinstance(place, ByteSpan) and document[place.start_byte : place.end_byte] == origin.quote.encode()


def show_judgement(judgement: Judgement, *, console: Console) -> None:
    """Shows what is going to be said in public."""
    facts = [("verdict", f"{judgement.verdict.name.lower()} (tool)"), ("reason", judgement.reason)]
    console.print(facts_table(facts))


def show_publication(publication: Publication, *, console: Console) -> None:
    """Shows where a review is now."""
    facts = [("record", publication.record.digest.hex())]
    facts += [(outcome.name.lower(), f"at {shown(name)}") for name, outcome in publication.outcomes.items()]
    console.print(facts_table(facts))


def show_opinions(opinions: Opinions, *, node: PublicKey, you: PublicKey, console: Console) -> None:
    """Shows what is said about a node, and what that comes to: for the reviewer, and for a stranger."""
    facts = [("node", format_node_id(node))]
    for review in (signed.value for signed in opinions.signed_reviews()):
        author = "you" if review.reviewer == you else format_node_id(review.reviewer)
        how = f"({review.verification.method.name.lower()})"
        paid = ", of an answer that was paid for" if review.attestation is not None else ""
        facts += [("review", f"{review.verdict.name.lower()} {how}, by {author}{paid}"), ("", f"“{review.comment}”")]
    for viewer, who in ((you, "to you"), (KeyPair.generate().public_key, "to a stranger")):
        facts.append((who, _score_line(opinions, node=node, viewer=viewer)))
    console.print(facts_table(facts))


def _score_line(opinions: Opinions, *, node: PublicKey, viewer: PublicKey) -> str:
    evidence = evidence_of(opinions.records.records)
    score = Reputation(evidence, viewer=viewer, now=utc_now()).score(node, domain=DOMAIN)
    counted = score.own.items + score.trusted.items
    return f"{counted} of {len(evidence)} reviews count: {score.mean:.0%} of its answers are expected to be right"


def checks_of(opinions: Opinions, *, result: AskResult) -> tuple[Check, ...]:
    """Checks offline that the review of an answer came back from the registry, once, and that it holds by itself."""
    digest = result.answer.digest
    ours = [
        (opinion.record.record, review)
        for opinion, review in zip(opinions.reviews, opinions.signed_reviews(), strict=True)
        if review.value.answer_digest == digest
    ]
    found = Check(
        name="the registry served one review of the answer",
        requirement="REV-ONE-001",
        passed=len(ours) == 1,
        explanation=f"{len(ours)} of the answer {digest.hex()[:16]}",
    )
    return (found, *(_check_of(record, review=review) for record, review in ours))


def _check_of(record: OpenRecord, *, review: Signed[Review]) -> Check:
    name, requirement = "the review holds, and its ticket is the node's", "REV-OPEN-001"
    ticket = review.value.ticket
    try:
        verify(review.envelope, payload_type="consilience.v1.Review")
        verify(ticket.envelope, payload_type="consilience.v1.ReviewTicket")
        place_of(record, now=utc_now())
    except RefusedError as error:
        return Check(name=name, requirement=requirement, passed=False, explanation=str(error))
    said = f"the ticket {ticket.digest.hex()[:16]} opens for {format_node_id(review.value.reviewer)}"
    return Check(name=name, requirement=requirement, passed=True, explanation=said)
