from __future__ import annotations

import pytest

from consilience_node.engines.sentences import sentence_end


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A bug. It hides.", "A bug."),
        ("Pi is 3.14, roughly. Not more.", "Pi is 3.14, roughly."),
        ("Fruit, e.g. apples, is sold. Here.", "Fruit, e.g. apples, is sold."),
        ("Fruit, e.g. Apples of Kent, is sold. Here.", "Fruit, e.g. Apples of Kent, is sold."),
        ("J. S. Bach wrote it. He was old.", "J. S. Bach wrote it."),
        ("Dr. Smith knows. Ask.", "Dr. Smith knows."),
        ("So do I. You do not.", "So do I."),
        ("1. Open the lid. 2. Look.", "1. Open the lid."),
        ("It came in 1990. Then it left.", "It came in 1990."),
        ('He said "Stop." Then he left.', 'He said "Stop."'),
        ("“Why?” she asked. He did not know.", "“Why?” she asked."),
        ("Really?! Yes.", "Really?!"),
        ("Hmm... well, yes. No.", "Hmm... well, yes."),
        ("An end.\nmore", "An end."),
        ("これは虫です。次の文。", "これは虫です。"),
        ("यह एक बग है। अगला", "यह एक बग है।"),
    ],
)
def test_first_sentence_ends_where_a_reader_would_say(text: str, sentence: str) -> None:
    assert text[: sentence_end(text)] == sentence


@pytest.mark.parametrize("text", ["", "A bug", "A bug.", "A bug. ", "e.g. this", "3.14", "1. Open the lid"])
def test_end_is_not_claimed_before_the_text_proves_it(text: str) -> None:
    assert sentence_end(text) is None


def test_text_that_grows_never_moves_an_end_once_found() -> None:
    text = "Fruit, e.g. apples (3.14 kg), is sold by J. Doe. He is old. Yes."
    ends = {sentence_end(text[:length]) for length in range(len(text) + 1)}
    assert ends == {None, text.index(". He") + 1}
