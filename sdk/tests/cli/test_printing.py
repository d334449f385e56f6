import pytest
from rich.console import Console

from consilience.cli.printing import facts_table, printable


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\r", "\b", "\x00", "\x7f"])
def test_no_control_character_of_a_peer_reaches_the_terminal(hostile: str) -> None:
    shown = printable(f"a{hostile}b")
    assert shown.startswith("a\N{REPLACEMENT CHARACTER}")
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)


@pytest.mark.parametrize("turning", [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))])
def test_nothing_of_a_peer_turns_the_order_of_text(turning: str) -> None:
    assert printable(f"paid 10{turning}0 TEST") == "paid 10\N{REPLACEMENT CHARACTER}0 TEST"


@pytest.mark.parametrize("code", [0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xFFF9, 0x1D173])
def test_nothing_of_a_peer_is_there_and_not_seen(code: int) -> None:
    assert printable(f"glos{chr(code)}sary") == "glos\N{REPLACEMENT CHARACTER}sary"


def test_no_tag_of_a_peer_is_shown_as_nothing() -> None:
    assert set(printable("".join(map(chr, range(0xE0000, 0xE0080))))) == {"\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize("text", ["👩\u200d💻", "ん\u200cな", "\u0600123"])
def test_what_scripts_and_emoji_are_written_with_stays(text: str) -> None:
    assert printable(text) == text


def test_text_is_left_as_it_is() -> None:
    text = "Grüße\n\t世界 🐛 [not markup]"
    assert printable(text) == text


def test_what_looks_like_markup_is_shown_to_the_letter() -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(facts_table([("source", "[bold]foldoc[/bold] [link=x]")]))
    assert "[bold]foldoc[/bold] [link=x]" in captured.get()
