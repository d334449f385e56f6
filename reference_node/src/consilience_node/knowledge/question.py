"""Finds what a question is about: the name to look up, and the words that carry its meaning.

The question frames known here are English ("What is a …?", "Define …", "What does … stand for?"). A question in
another language is looked up as it stands and then by its words.
"""

import re
import unicodedata

_BLANKS = re.compile(r"\s+")
_INNER_JOINTS = re.compile(r"(?<=\w)[-_/](?=\w)")
_APOSTROPHES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_ARTICLE = re.compile(r"^(?:an?|the|some|any) ")
_IS = r"(?:'s| is| are| was| were)"
_FRAMES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^wh(?:at|o){_IS} (?:meant by|the (?:meaning|definition) of) (?P<subject>.+)$",
        r"^what (?:does|do|did) (?P<subject>.+?) (?:mean|stand for)$",
        r"^(?:please )?(?:define|explain|describe) (?P<subject>.+)$",
        r"^(?:please )?(?:can|could|would) you (?:please )?(?:define|explain|describe) (?P<subject>.+)$",
        r"^(?:please )?tell me (?:about|what) (?P<subject>.+?)(?: is| are| means?)?$",
        r"^(?:(?:can|could) you (?:please )?tell me what|do you know what) (?P<subject>.+?) (?:is|are|means?)$",
        r"^(?:the )?(?:meaning|definition) of (?P<subject>.+)$",
        rf"^wh(?:at|o){_IS} (?P<subject>.+)$",
    )
)
_WORD = re.compile(r"[^\W_]+(?:[+#]+)?")
_WORDS_OF_GRAMMAR = """
    a about an and any are as at be been being but by can could did do does explain define describe for from had has
    have he her his how i if in into is it its know many me mean meaning means much my of on or our please she should
    so some stand stands such tell than that the their them then there these they this to us was we were what what's
    when where which while who whom whose why will with would you your s
"""

_WORDS_OF_ASKING = """
    acronym abbreviation between built called coined created date designed developed difference discovered first
    founded introduced invented kind made name named person proposed purpose sort term type use used word write
    written wrote year
"""
_GRAMMAR = frozenset(_WORDS_OF_GRAMMAR.split())
_ASKING = frozenset(_WORDS_OF_ASKING.split())
_MAX_NAME_WORDS = 6
_MAX_NAME_CHARACTERS = 256
_MAX_WORDS = 64
_QUOTES = "\"'` "
_EDGES = "?!.,;:\"'`()[]"


def normalised(name: str) -> str:
    """Brings a headword, or a name from a question, to the form in which both are compared.

    Case, kinds of blanks, typographic quotes and the joint in "object-oriented" do not count; signs do, because
    "C++" and "C#" are not "C".
    """
    text = unicodedata.normalize("NFKC", name).translate(_APOSTROPHES).casefold()
    # A lone surrogate or a NUL is in no headword, and SQLite would refuse the one and stop reading at the other.
    text = text.encode("utf-8", "ignore").decode("utf-8").replace("\0", " ")
    return _BLANKS.sub(" ", _INNER_JOINTS.sub(" ", text)).strip()


def names_asked_for(question: str) -> tuple[str, ...]:
    """Returns the normalised headwords a question may be asking for, the most literal one first.

    >>> names_asked_for("What are Heisenbugs?")
    ('what are heisenbugs?', 'what are heisenbugs', 'heisenbugs', 'heisenbug')
    """
    whole = normalised(question)
    asked = _without_mark(whole)
    subject = _subject(asked)
    bare = bare_name(question)
    # ".NET" and "!" would lose their sign to the sentence's; the forms that keep it come first.
    candidates = (whole, asked, subject, bare, *singulars(bare))
    return tuple(dict.fromkeys(name for name in candidates if 0 < len(name) <= _MAX_NAME_CHARACTERS))


def bare_name(phrase: str) -> str:
    """Returns the normalised name that a question, or a heading, is about, without its article.

    >>> bare_name("What is the node card?"), bare_name("The node card")
    ('node card', 'node card')
    """
    return _ARTICLE.sub("", _subject(_without_mark(normalised(phrase)))).strip(_QUOTES)


def _without_mark(sentence: str) -> str:
    return sentence.rstrip("?!. ") or sentence


def _subject(asked: str) -> str:
    for frame in _FRAMES:
        if match := frame.match(asked):
            return match["subject"].strip(_QUOTES) or asked
    return asked.strip(_QUOTES) or asked


def terms_of(text: str) -> tuple[str, ...]:
    """Returns the distinct words of a text that carry meaning, normalised, in the order of the text."""
    words = (match.group() for match in _WORD.finditer(normalised(text)))
    return tuple(dict.fromkeys(word for word in words if word not in _GRAMMAR))


def subject_words(question: str) -> tuple[str, ...]:
    """Returns the words that tell what a question is about, without those that tell what it wants to know of it.

    >>> subject_words("Who invented Perl?")
    ('perl',)
    """
    return tuple(word for word in terms_of(question) if word not in _ASKING)


def names_within(question: str) -> dict[str, frozenset[str]]:
    """Returns every phrase of a question that might be a headword, with the words that tell what it is about.

    Only the first 64 words of the question are looked at.
    """
    words = normalised(question).split()[:_MAX_WORDS]
    names: dict[str, frozenset[str]] = {}
    for length in range(1, _MAX_NAME_WORDS + 1):
        for start in range(len(words) - length + 1):
            phrase = " ".join(words[start : start + length]).strip(_EDGES).removesuffix("'s")
            held = frozenset(subject_words(phrase))
            if held:
                names.update(dict.fromkeys((phrase, *singulars(phrase)), held))
    return names


def singulars(name: str) -> tuple[str, ...]:
    """Guesses the singular of a plural by the regular endings of English; no guess need be a word.

    >>> singulars("node cards")
    ('node card',)
    """
    endings = (("ies", "y"), ("es", ""), ("s", ""))
    return tuple(
        name.removesuffix(plural) + singular
        for plural, singular in endings
        if name.endswith(plural) and not name.endswith("ss") and len(name) > len(plural) + 1
    )
