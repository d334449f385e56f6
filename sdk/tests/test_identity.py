"""Keys, their text form and their files."""

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consilience.errors import AddressInvalidError, KeyFileError
from consilience.identity import (
    KEY_FILE_VARIABLE,
    NODE_ID_CHARACTERS,
    KeyPair,
    Signer,
    default_key_file,
    format_node_id,
    next_root_digest,
    parse_node_id,
    signature_is_valid,
)
from consilience.units import PublicKey

_SEED = bytes(range(32))
_HEADER = "consilience-ed25519-seed-v1"


def _key_file(path: Path, text: str, *, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_pair_is_a_signer() -> None:
    assert isinstance(KeyPair(_SEED), Signer)


def test_a_seed_makes_the_key_of_rfc_8032() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    keys = KeyPair(seed)
    assert keys.public_key.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert keys.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(KeyFileError, match=f"not {size}"):
        KeyPair(bytes(size))


def test_generated_keys_differ() -> None:
    assert KeyPair.generate().public_key != KeyPair.generate().public_key


def test_a_signature_verifies_and_is_deterministic() -> None:
    keys = KeyPair(_SEED)
    signature = keys.sign(b"text")
    assert signature == KeyPair(_SEED).sign(b"text")
    assert signature_is_valid(signature, message=b"text", public_key=keys.public_key)


@pytest.mark.parametrize("place", [0, 31, 32, 63])
def test_a_changed_signature_does_not_verify(place: int) -> None:
    keys = KeyPair(_SEED)
    signature = bytearray(keys.sign(b"text"))
    signature[place] ^= 1
    assert not signature_is_valid(bytes(signature), message=b"text", public_key=keys.public_key)


def test_a_signature_of_another_message_or_key_does_not_verify() -> None:
    keys, other = KeyPair(_SEED), KeyPair(b"x" * 32)
    signature = keys.sign(b"text")
    assert not signature_is_valid(signature, message=b"test", public_key=keys.public_key)
    assert not signature_is_valid(signature, message=b"text", public_key=other.public_key)


@pytest.mark.parametrize(("signature", "key"), [(0, 32), (63, 32), (65, 32), (64, 0), (64, 31), (64, 33)])
def test_wrong_sizes_do_not_verify_and_do_not_raise(signature: int, key: int) -> None:
    assert not signature_is_valid(bytes(signature), message=b"", public_key=bytes(key))


def test_a_representation_shows_the_public_key_and_not_the_seed() -> None:
    keys = KeyPair(_SEED)
    shown = repr(keys)
    assert format_node_id(keys.public_key) in shown
    assert base64.b64encode(_SEED).decode() not in shown
    assert _SEED.hex() not in shown


def test_a_key_pair_has_no_place_for_more_attributes() -> None:
    with pytest.raises(AttributeError):
        KeyPair(_SEED).seed = b""  # type: ignore[attr-defined]


def test_a_node_id_is_55_characters_of_lower_case() -> None:
    text = format_node_id(KeyPair(_SEED).public_key)
    assert len(text) == NODE_ID_CHARACTERS == 55
    assert text.startswith("cn1")
    assert text == text.lower()
    assert parse_node_id(text) == KeyPair(_SEED).public_key


@pytest.mark.parametrize(
    "change",
    [str.upper, str.title, lambda text: text[:-1], lambda text: f"{text}=", lambda text: f" {text}", lambda _: ""],
)
def test_a_text_that_is_not_the_form_itself_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(AddressInvalidError, match="cn1"):
        parse_node_id(change(format_node_id(KeyPair(_SEED).public_key)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda text: text[:-1], "write cn1 and 52 characters"),
        (lambda text: f"{text[:20]}0{text[21:]}", "'0' is not among its characters"),
        (lambda text: f"{text[:20]}A{text[21:]}", "'A' is not among its characters"),
        (lambda text: f"{text[:-1]}b", "end in a or q, and ends in b"),
    ],
)
def test_what_is_wrong_with_a_text_is_said(wrong: Callable[[str], str], said: str) -> None:
    with pytest.raises(AddressInvalidError, match=said):
        parse_node_id(wrong(format_node_id(KeyPair(_SEED).public_key)))


def test_the_commitment_to_a_next_root_key_is_the_hash_of_its_bytes() -> None:
    expected = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    assert next_root_digest(PublicKey(bytes(32))).hex() == expected


def test_a_saved_key_is_loaded_again_and_only_the_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "mine"
    keys = KeyPair(_SEED)
    keys.save(path)
    assert KeyPair.load(path).public_key == keys.public_key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["mine"]


def test_a_key_is_never_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "key"
    KeyPair(_SEED).save(path)
    with pytest.raises(FileExistsError):
        KeyPair.generate().save(path)
    assert KeyPair.load(path).public_key == KeyPair(_SEED).public_key
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_a_key_cannot_be_saved_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="cannot write"):
        KeyPair(_SEED).save(tmp_path / "file" / "key")


def test_what_a_crash_left_behind_is_never_written_through(tmp_path: Path) -> None:
    """A crash between link and unlink leaves a second name of the key; process ids come again."""
    path = tmp_path / "key"
    KeyPair(_SEED).save(path)
    (tmp_path / f".key.{os.getpid()}").hardlink_to(path)
    with pytest.raises(FileExistsError):
        KeyPair.generate().save(path)
    assert KeyPair.load(path).public_key == KeyPair(_SEED).public_key


def test_threads_that_make_a_key_at_once_end_with_the_same_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(KeyPair.load_or_create, [tmp_path / "key"] * 8))
    assert {keys.public_key for keys in made} == {KeyPair.load(tmp_path / "key").public_key}


def test_a_node_id_in_letters_beyond_ascii_is_refused() -> None:
    with pytest.raises(AddressInvalidError):
        parse_node_id("cn1" + "é" * 52)


def test_a_key_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot read"):
        KeyPair.load(tmp_path / "none")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o610, 0o660])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    seed = base64.b64encode(_SEED).decode()
    path = _key_file(tmp_path / "key", f"{_HEADER}\n{seed}\n", mode=mode)
    with pytest.raises(KeyFileError, match="0600"):
        KeyPair.load(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a key file"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "not a key file"),
        (f"{_HEADER}\n", "not a key file"),
        (f"{_HEADER}\nAAAA\nmore\n", "not a key file"),
        (f"{_HEADER}\n!!!!\n", "damaged"),
        (f"{_HEADER}\nAAA\n", "damaged"),
        (f"{_HEADER}\nAAAA\n", "32 bytes"),
        ("é", "cannot read"),
    ],
)
def test_a_damaged_key_file_is_refused_and_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = _key_file(tmp_path / "key", text)
    with pytest.raises(KeyFileError, match=complaint):
        KeyPair.load(path)


def test_a_refusal_does_not_show_the_seed(tmp_path: Path) -> None:
    seed = base64.b64encode(_SEED).decode()
    path = _key_file(tmp_path / "key", f"{_HEADER}\n{seed} more\n")
    with pytest.raises(KeyFileError) as caught:
        KeyPair.load(path)
    assert seed not in str(caught.value)


def test_a_key_is_made_where_there_is_none_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "state" / "key"
    first = KeyPair.load_or_create(path)
    assert KeyPair.load_or_create(path).public_key == first.public_key


_RACER = """
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from consilience.identity import KeyPair
sys.stdin.readline()
print(KeyPair.load_or_create(Path(sys.argv[1])).public_key.hex())
"""


def test_processes_that_make_a_key_at_once_end_with_the_same_one(tmp_path: Path) -> None:
    path = tmp_path / "key"
    command = [sys.executable, "-c", _RACER, str(path)]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    keys = {racer.communicate(timeout=60)[0].strip() for racer in racers}
    assert keys == {KeyPair.load(path).public_key.hex()}
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_the_default_key_file_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "mine"))
    assert default_key_file() == tmp_path / "mine"


def test_the_default_key_file_is_in_the_users_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(KEY_FILE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_key_file() == tmp_path / "consilience" / "key"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_key_file() == tmp_path / ".config" / "consilience" / "key"


def test_the_folder_of_a_new_key_is_the_owners_alone(tmp_path: Path) -> None:
    KeyPair.load_or_create(tmp_path / "state" / "key")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
