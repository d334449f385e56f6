"""`consilience keys`: the key that the user signs with."""

import json
from pathlib import Path

import click

from consilience.errors import KeyFileError
from consilience.identity import KeyPair, default_key_file, format_node_id

FILE_OPTION = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The key file; otherwise $CONSILIENCE_KEY_FILE, or the one in your configuration folder.",
)


class KeyExistsError(KeyFileError):
    """There is a file where a new key would go."""

    remedy = "Name another file: --file. Move this one away first if it holds no key, or one that you no longer need."


@click.group()
def keys() -> None:
    """Makes and shows the key that you sign with."""


@keys.command()
@FILE_OPTION
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def new(path: Path | None, *, as_json: bool) -> None:
    """Makes a key, where there is none."""
    path = path or default_key_file()
    key = KeyPair.generate()
    try:
        key.save(path)
    except FileExistsError as error:
        raise KeyExistsError(f"there is a file {path} already; it is left as it is") from error
    _show(key, path, as_json=as_json)


@keys.command()
@FILE_OPTION
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def show(path: Path | None, *, as_json: bool) -> None:
    """Shows the public side of the key. The secret is never shown."""
    path = path or default_key_file()
    _show(KeyPair.load(path), path, as_json=as_json)


def _show(key: KeyPair, path: Path, *, as_json: bool) -> None:
    public_key = format_node_id(key.public_key)
    click.echo(json.dumps({"public_key": public_key, "file": str(path)}) if as_json else f"{public_key}\n{path}")
