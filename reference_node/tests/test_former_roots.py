"""Money in sessions with a root key that has handed over since: it stays the payer's, and nobody is accused."""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.identity import KeyPair
from consilience.payments import Budget, SessionStatus, TransferStatus
from reference_node.tests.lines import HOST, free_ports
from reference_node.tests.processes import NodeProcess, run, serving
from reference_node.tests.test_roots import stopped

SCRIPT = '[[programs]]\nsteps = [{ emit = "Forty-" }, { await_cancel = true }]\n'
CONFIG = """
[node]
name = "counts"

[payments]

[[payments.rails]]
rail = "hold.v1"
network = "test"

[[models]]
id = "s"
engine = "scripted"
script = "script.toml"

[[models.prices]]
id = "flat"
asset = "TEST/0"
request = 5

[[skills]]
id = "count"
model = "s"
"""


@pytest.mark.timeout(240)  # five lives of a node, on a small machine
async def test_what_an_answer_left_of_the_money_comes_back_from_the_next_root_key(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    following, file = tmp_path / "next-root.key", tmp_path / "node.toml"
    (tmp_path / "script.toml").write_text(SCRIPT)
    file.write_text(CONFIG)
    state = ("--config", file, "--state-folder", tmp_path / "state")
    key = KeyPair.generate()

    def node() -> AbstractContextManager[NodeProcess]:
        return serving("--config", file, folder=tmp_path, address=f"{HOST}:{port}")

    def payer() -> Client:
        budget = Budget(per_ask="100 TEST/0", per_day="1000 TEST/0")
        return Client(key, card_file=tmp_path / "cards", wallet=tmp_path / "wallet", budget=budget)

    with node() as first:
        stopped(first)
    assert run("next-root", *state, "--output", following).returncode == 0
    with node() as broken:
        async with payer() as client, client.stream("How many?", node=broken.address) as stream:
            assert await anext(aiter(stream)) == "Forty-"
            stream.detach()
        broken.send(signal.SIGKILL)
        assert broken.wait() == -signal.SIGKILL

    early = run("rotate-root", *state, "--key", following)
    assert early.returncode == 6
    assert early.stderr.splitlines() == [
        "answers were interrupted when the node last stopped: 1",
        "Start the node once more and stop it: it ends them. Then hand it over.",
    ]
    with node() as ending:
        stopped(ending)
    done = run("rotate-root", *state, "--key", following)
    assert done.returncode == 0, done.stderr

    with node():
        async with payer() as client:
            (session,) = await client.payments.sessions()
            session = await client.payments.refresh(session.session_id)
            assert (session.trouble, session.spent, session.room > 0) == ("", 5, True)
            withdrawn = await client.payments.withdraw(session.session_id)
            assert (withdrawn.status, withdrawn.amount) == (TransferStatus.SUCCEEDED, session.room)
            closed = await client.payments.close_session(session.session_id)
            assert (closed.status, closed.room, closed.trouble) == (SessionStatus.CLOSED, 0, "")
            assert all(check.passed for check in await client.payments.verify(session.session_id))
            (receipt,) = await client.payments.receipts(session.session_id)

    refund = run("refund", session.session_id.hex(), receipt.digest.hex(), "1", *state)
    assert refund.returncode != 0
    assert "with a former root key of the node, and no other can sign its receipts" in refund.stderr
