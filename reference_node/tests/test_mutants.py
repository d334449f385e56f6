"""The room of the mutants: each can be brought about, says what it is, and is in no node that is not told to be one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from consilience_node.exits import Exit
from consilience_node.mutants import UnknownMutantError, apply_mutant, mutants
from consilience_node.mutants.registry import replace
from reference_node.tests.processes import run, serving
from reference_node.tests.test_grants import configured

NAMES = tuple(mutants())

APPLY_EACH = """
import os, sys
from consilience_node import cli, service
from consilience_node.mutants import mutants

def is_applied(mutant):
    child = os.fork()
    if child == 0:
        try:
            mutant.apply()
        except BaseException as error:
            print(f"{mutant.name}: {error!r}", flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0

sys.exit(not all([is_applied(mutant) for mutant in mutants().values()]))
"""
"""Applies each in a process of its own, because a fault is brought about for good."""


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"GRPC_ENABLE_FORK_SUPPORT": "0"},
    )


def test_every_mutant_finds_what_it_breaks() -> None:
    ended = python(APPLY_EACH)
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stdout + ended.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_mutant_has_a_name_and_says_its_fault_in_a_sentence(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert re.fullmatch(r"[A-Z][^\n]*\.", mutants()[name].fault)


def test_no_two_mutants_have_one_name() -> None:
    listed = python(
        "from consilience_node import mutants\n"
        "from consilience_node.mutants.registry import registered\n"
        "print(*(one.name for room in mutants._ROOMS for one in registered(room.__name__)))"
    ).stdout.split()
    assert sorted(listed) == sorted(NAMES)


def test_every_module_of_the_room_is_asked_for_its_mutants() -> None:
    listed = python("from consilience_node import mutants; print(*(room.__name__ for room in mutants._ROOMS))").stdout
    modules = {file.stem for file in (Path(sys.modules[apply_mutant.__module__].__file__ or "").parent).glob("*.py")}
    assert {name.rpartition(".")[2] for name in listed.split()} == modules - {"__init__", "registry"}


def test_a_name_that_is_none_is_told_with_one_that_looks_alike() -> None:
    with pytest.raises(UnknownMutantError, match="request-id-reused-ok"):
        apply_mutant("request-id-resued-ok")


def test_a_fault_in_what_is_not_there_any_more_is_an_error() -> None:
    program = types.ModuleType("program")
    with pytest.raises(AttributeError, match="gone"):
        replace(program, "gone", lambda there: there)


def test_a_fault_keeps_what_kind_of_method_it_takes_the_place_of() -> None:
    class Program:
        @staticmethod
        def answer() -> str:
            return "right"

    replace(Program, "answer", lambda there: staticmethod(lambda: f"not {there()}"))
    assert Program.answer() == "not right"


def test_the_command_lists_every_mutant_with_its_fault() -> None:
    ended = run("mutants")
    assert ended.returncode == 0
    listed = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert listed == {name: mutant.fault for name, mutant in mutants().items()}


def test_a_node_that_is_a_mutant_says_so_and_serves(tmp_path: Path) -> None:
    words = ("--config", configured(tmp_path), "--mutant", NAMES[0])
    with serving(*words, folder=tmp_path) as node:
        assert node.log.startswith(f"mutant {NAMES[0]}: {mutants()[NAMES[0]].fault}\n")


def test_a_mutant_that_is_none_does_not_serve(tmp_path: Path) -> None:
    ended = run("serve", "--config", configured(tmp_path), "--mutant", "request-id-resued-ok")
    assert ended.returncode == Exit.USAGE
    assert "did you mean: request-id-reused-ok" in ended.stderr


def test_a_node_that_is_not_told_to_be_one_never_reads_the_room() -> None:
    ended = python("import sys, consilience_node.cli; print(*(n for n in sys.modules if 'mutants' in n))")
    assert (ended.returncode, ended.stdout.strip()) == (0, "")
