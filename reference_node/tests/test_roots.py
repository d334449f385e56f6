"""The root key of a node changes: prepared, handed over, announced, and followed by whoever knew the old id."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from consilience._wire import envelopes
from consilience.client import Client
from consilience.client.reviews import Registries
from consilience.client.reviews.verifying import opened
from consilience.errors import KeyRetiredError
from consilience.identity import KeyPair, format_node_id
from consilience.reviews import OpenRecord, Rebuttal, Record, RecordQuery, RecordType, Verdict
from consilience.units import utc_now
from reference_node.tests.lines import HOST, free_ports
from reference_node.tests.processes import NodeProcess, run, serving

LOOKS = 600
SCRIPT = '[[programs]]\nsteps = [{ emit = "Forty-two." }]\n'


def node_file(folder: Path, *, registry: str) -> Path:
    folder.mkdir()
    (folder / "script.toml").write_text(SCRIPT)
    file = folder / "node.toml"
    file.write_text(
        f'[node]\nname = "counts"\nregistries = ["{registry}"]\nstore = "memory"\n[tls]\nmode = "pinned"\n'
        '[[models]]\nid = "s"\nengine = "scripted"\nscript = "script.toml"\n'
        '[[skills]]\nid = "count"\nmodel = "s"\ndomains = ["numbers"]\n'
    )
    return file


def node_id(process: NodeProcess) -> str:
    return process.address.partition("@")[0]


def stopped(process: NodeProcess) -> None:
    process.send(signal.SIGTERM)
    assert process.wait() == 0


async def announced(client: Client, known: str, *, as_id: str) -> None:
    """Waits until a registry leads from an id to another one."""
    for _ in range(LOOKS):
        found = await client.find(skill="count")
        if [format_node_id(node.card.value.node_id) for node in found.nodes] == [as_id]:
            located = await client.locate(known)
            assert format_node_id(located.value.node_id) == as_id
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"the registry does not lead from {known} to {as_id}")


@pytest.mark.timeout(240)  # a registry and three lives of a node, on a small machine
async def test_who_knew_the_old_id_reaches_the_node_under_its_new_root_key(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    following = tmp_path / "next-root.key"
    with serving(folder=tmp_path / "registry", verb="registry") as registry:
        file = node_file(tmp_path / "node", registry=registry.address)
        state = ("--config", file, "--state-folder", file.parent / "state")

        def node() -> AbstractContextManager[NodeProcess]:
            return serving("--config", file, folder=file.parent, address=f"{HOST}:{port}")

        with node() as first:
            stopped(first)
        prepared = run("next-root", *state, "--output", following)
        assert prepared.returncode == 0, prepared.stderr

        asker = Client(KeyPair.generate(), card_file=tmp_path / "asker", registries=[registry.address])
        async with asker:
            with node() as old:
                old_address, old_id = old.address, node_id(old)
                await announced(asker, old_id, as_id=old_id)
                answer = await asker.ask("How many?", node=old_address)
                review = await asker.reviews.review(answer, verdict=Verdict.CORRECT)
                stopped(old)
            done = run("rotate-root", *state, "--key", following)
            assert done.returncode == 0, done.stderr
            with node() as new:
                new_id = node_id(new)
                assert new_id == format_node_id(KeyPair.load(following).public_key) != old_id
                assert done.stdout.split()[-1] == new_id
                await announced(asker, old_id, as_id=new_id)

                # One that has the address of the old id, one that has the id alone and never saw the old card.
                assert (await asker.ask("How many?", node=old_address)).text == "Forty-two."
                stranger = Client(KeyPair.generate(), card_file=tmp_path / "stranger", registries=[registry.address])
                async with stranger:
                    card = await stranger.locate(old_id)
                    assert (await stranger.ask("How many?", node=card)).text == "Forty-two."
                    # What was said of it before its retirement still stands.
                    said = await stranger.reviews.about(old_id)
                    assert [each.record.place.digest for each in said.reviews] == [review.record.digest]

                await check_retired(
                    tmp_path, review.record, registry=registry, retired=file.parent / "state/root-1.key"
                )


async def check_retired(folder: Path, review: Record, *, registry: NodeProcess, retired: Path) -> None:
    """Lets whoever has the old key say something since."""
    old, placed = KeyPair.load(retired), opened(review, now=utc_now())
    async with Registries(card_file=folder / "cards") as registries:
        peer = registries(registry.address)
        held = await peer.records(RecordQuery(author=old.public_key, types=(RecordType.KEY_SUCCESSION,)))
        assert [record.object.payload_type for record in held.items] == ["consilience.v1.KeySuccession"]
        rebuttal = Rebuttal(
            node_id=old.public_key,
            signing_key=old.public_key,
            target_type=RecordType.REVIEW,
            target_digest=placed.place.slot,
            comment="It is still me.",
            issue_time=utc_now(),
        )
        with pytest.raises(KeyRetiredError):
            await peer.publish(OpenRecord(object=envelopes.seal(rebuttal, signer=old)).record)


@pytest.mark.timeout(240)  # a dozen commands and lives of a node, on a small machine
async def test_only_the_key_that_the_last_card_commits_to_takes_over(tmp_path: Path) -> None:
    file = node_file(tmp_path / "node", registry=f"{HOST}:1")
    state = ("--config", file, "--state-folder", file.parent / "state")
    root, key = file.parent / "state" / "root.key", tmp_path / "next-root.key"

    early = run("next-root", *state, "--output", key)
    assert (early.returncode, key.exists()) == (6, False)
    with serving("--config", file, folder=file.parent) as node:
        stopped(node)
    before = root.read_bytes()
    assert run("next-root", *state, "--output", key).returncode == 0
    assert run("next-root", *state, "--output", key).returncode == 5, "no key is written over another"
    second = run("next-root", *state, "--output", tmp_path / "another.key")
    assert (second.returncode, (tmp_path / "another.key").exists()) == (5, False)
    assert "which no card has told yet" in second.stderr

    uncommitted = run("rotate-root", *state, "--key", key)
    assert uncommitted.returncode == 6
    assert "start the node once" in uncommitted.stderr
    assert "Traceback" not in uncommitted.stderr
    with serving("--config", file, folder=file.parent):
        running = run("rotate-root", *state, "--key", key)
        assert running.returncode == 6
        assert running.stderr.splitlines() == [
            f"the node runs: a process works on the state folder {file.parent / 'state'}",
            "Stop the node, hand it over, and start it again.",
        ]
    committed = run("next-root", *state, "--output", tmp_path / "another.key")
    assert (committed.returncode, (tmp_path / "another.key").exists()) == (6, False)
    assert "commit to a next root key already" in committed.stderr
    told, thief = file.parent / "state" / "next-root.txt", KeyPair.generate()
    right = told.read_text()
    for wrong in (f"{format_node_id(thief.public_key)}\n", "", None):
        told.unlink() if wrong is None else told.write_text(wrong)
        refused = run("serve", "--config", file, "--address", f"{HOST}:0", "--state-folder", file.parent / "state")
        assert refused.returncode == 6
        assert refused.stderr.startswith(str(told))
        assert "Write the id into it that `next-root` printed" in refused.stderr
    told.write_text(right)
    thief.save(tmp_path / "thief.key")
    assert run("rotate-root", *state, "--key", tmp_path / "thief.key").returncode == 6
    assert root.read_bytes() == before
    assert run("rotate-root", *state, "--key", key).returncode == 0
    assert root.read_bytes() == key.read_bytes()
    assert (file.parent / "state" / "root-1.key").read_bytes() == before


def test_a_node_that_was_here_before_does_not_begin_anew_without_its_root_key(tmp_path: Path) -> None:
    file = node_file(tmp_path / "node", registry=f"{HOST}:1")
    state = file.parent / "state"
    with serving("--config", file, folder=file.parent) as node:
        before = node_id(node)
        stopped(node)
    card, kept = (state / "card.bin").read_bytes(), tmp_path / "copy.key"
    (state / "root.key").rename(kept)

    refused = run("serve", "--config", file, "--address", f"{HOST}:0", "--state-folder", state)
    assert refused.returncode == 6
    assert refused.stderr.splitlines() == [
        f"{state / 'card.bin'} is of a node that was here before, and its root key {state / 'root.key'} is gone",
        "Put the key back from your copy. To begin as another node, name another folder: --state-folder.",
    ]
    assert ((state / "card.bin").read_bytes(), (state / "root.key").exists()) == (card, False)

    kept.rename(state / "root.key")
    with serving("--config", file, folder=file.parent) as node:
        assert node_id(node) == before


def test_no_folder_is_made_for_the_next_root_key(tmp_path: Path) -> None:
    """The medium on which it is to be kept may not be there."""
    (tmp_path / "state").mkdir()
    KeyPair.generate().save(tmp_path / "state" / "root.key")
    told = run("next-root", "--state-folder", tmp_path / "state", "--output", tmp_path / "usb" / "next-root.key")
    assert told.returncode == 5
    assert (
        told.stderr == f"there is no folder {tmp_path / 'usb'}; is the medium there on which the key is to be kept?\n"
    )
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["root.key", "state"]
