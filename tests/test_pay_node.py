"""A node is paid by its commands alone; one that takes no money for what should cost some is told."""

import sys
from pathlib import Path

import pytest

from scripts.certify import Candidate, CertificationError
from scripts.pay_node import pay

_PROGRAM = """
import argparse, asyncio
from pathlib import Path
from consilience.rails.hold import HoldRail
from consilience.server import Node
from consilience.server.payments import Offer, Payments
from consilience.tariffs import PricedUnit, Tariff, UnitPrice

words = argparse.ArgumentParser()
for name in ("--address", "--ready-file", "--key"):
    words.add_argument(name)
told = words.parse_args()
node = Node("candidate", key=Path(told.key), payments=Payments(rails=(HoldRail(),)))
tariff = Tariff(id="words", asset="TEST/0", prices=(UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1),))


async def answer(ask):
    for word in ask.text.split():
        yield word + " "


node.skill("free")(answer)
node.skill("priced", offers=[Offer(tariff=tariff, window=10, max_charge=500)])(answer)


async def main():
    async with node.serving(told.address) as running:
        Path(told.ready_file).write_text(running.address)
        await asyncio.Event().wait()


asyncio.run(main())
"""


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    serve: list[str | Path] = [sys.executable, "-c", _PROGRAM, "--key", tmp_path / "root.key"]
    return Candidate(executor=[], serve=serve, question="one two three four", grant=lambda _file, _testers: [])


def test_a_node_is_paid_in_every_way_there_is(candidate: Candidate, tmp_path: Path) -> None:
    pay(candidate, folder=tmp_path, skill="priced")


def test_a_node_that_charges_nothing_is_told(candidate: Candidate, tmp_path: Path) -> None:
    with pytest.raises(CertificationError, match="came as ANSWERED, for None"):
        pay(candidate, folder=tmp_path, skill="free")
