import ast
import re
import subprocess
import sys
from importlib import resources

import pytest

from consilience.cli.exits import Exit
from sdk.tests.cli.conftest import Run


def test_help_names_every_command(consilience: Run) -> None:
    text = consilience("--help").stdout
    for command in ("keys", "card", "ask", "verify", "completion"):
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


def test_every_exit_code_is_documented() -> None:
    source = (resources.files("consilience.cli") / "__init__.py").read_text(encoding="utf-8")
    documented = re.findall(r"^    (\d+)\s", ast.get_docstring(ast.parse(source), clean=False) or "", re.MULTILINE)
    assert sorted(map(int, documented)) == sorted(Exit)


def test_without_its_extra_the_command_line_says_what_to_install() -> None:
    program = "import sys\nsys.modules['click'] = None\nfrom consilience.cli import main\nmain()\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'consilience[cli]'" in done.stderr
