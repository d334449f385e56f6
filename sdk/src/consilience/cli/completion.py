"""`consilience completion`: the script that makes a shell complete the commands."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Prints the completion script of a shell.

    For bash: `consilience completion bash >> ~/.bashrc`.
    """
    root = click.get_current_context().find_root()
    completer = get_completion_class(shell)
    if completer is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(completer(root.command, {}, "consilience", "_CONSILIENCE_COMPLETE").source())
