import re
import subprocess
import sys

import pytest

from consilience.cli.exits import Exit
from sdk.tests.cli.conftest import Run


def test_help_names_every_command(consilience: Run) -> None:
    text = consilience("--help").stdout
    for command in ("keys", "card", "ask", "verify", "prices", "wallet", "sessions", "receipts", "trust", "completion"):
        assert re.search(rf"^  {command} ", text, re.MULTILINE)


def test_an_unknown_command_is_a_usage_error(consilience: Run) -> None:
    done = consilience("fly")
    assert done.returncode == 2
    assert "No such command" in done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(consilience: Run, shell: str) -> None:
    assert "_CONSILIENCE_COMPLETE" in consilience("completion", shell).stdout


def test_the_completion_of_bash_is_a_script_that_bash_reads(consilience: Run) -> None:
    script = consilience("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert "_CONSILIENCE_COMPLETE" in script


def test_help_lists_every_exit_code(consilience: Run) -> None:
    _, _, listed = consilience("--help").stdout.partition("Exit codes:")
    assert [int(code) for code in re.findall(r"^ +(\d+)  \w", listed, re.MULTILINE)] == sorted(Exit)


def test_ctrl_c_while_modules_are_imported_leaves_in_words(environment: dict[str, str]) -> None:
    program = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from consilience.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_without_its_extra_the_command_line_says_what_to_install() -> None:
    program = "import sys\nsys.modules['click'] = None\nfrom consilience.cli import main\nmain()\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'consilience[cli]'" in done.stderr
