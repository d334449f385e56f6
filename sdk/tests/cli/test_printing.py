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


def test_text_is_left_as_it_is() -> None:
    text = "Grüße\n\t世界 🐛 [not markup]"
    assert printable(text) == text


def test_what_looks_like_markup_is_shown_to_the_letter() -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(facts_table([("source", "[bold]foldoc[/bold] [link=x]")]))
    assert "[bold]foldoc[/bold] [link=x]" in captured.get()
