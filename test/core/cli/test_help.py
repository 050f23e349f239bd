"""`--help` of every command: it says what is written in the source."""

import re

import pytest
import typer
from typer.testing import CliRunner

from kp3d_core.cli import main
from kp3d_core.cli.literal_help import LiteralHelp


def written_commands():
    """(words of the command, its help texts as they stand in the source)."""
    plain = typer.Typer(rich_markup_mode=None)
    plain.registered_commands = main.app.registered_commands
    plain.registered_groups = main.app.registered_groups

    def below(command, words):
        texts = [command.help, *(getattr(p, "help", None) for p in command.params)]
        yield words, [text for text in texts if text]
        for name, child in getattr(command, "commands", {}).items():
            yield from below(child, (*words, name))

    return list(below(typer.main.get_command(plain), ()))


COMMANDS = written_commands()


@pytest.mark.parametrize(
    ("words", "texts"), COMMANDS, ids=["-".join(w) or "kp3d" for w, _ in COMMANDS]
)
def test_help_shows_every_character(words, texts):
    wide = {"COLUMNS": "250"}  # so that no column is wrapped beside another
    shown = CliRunner(env=wide).invoke(main.app, [*words, "--help"]).output

    def letters(text):
        return re.sub(r"[\s│|]+", "", text)

    for text in texts:
        assert letters(text) in letters(shown)


def test_brackets_in_help_are_no_markup():
    app = typer.Typer(cls=LiteralHelp)

    @app.command()
    def shoot(length: float = typer.Option(1.0, help="Length [s] of a [bold] film.")):
        """Shoot a film [px]."""

    @app.command()
    def show():
        """Show it [/red]."""

    shown = CliRunner().invoke(app, ["shoot", "--help"]).output
    assert "Length [s] of a [bold] film." in shown
    assert "Shoot a film [px]." in shown
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "Shoot a film [px]." in shown
    assert "Show it [/red]." in shown
