"""Help texts that say what is written: units in brackets are no markup."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from typer.core import TyperGroup


class LiteralHelp(TyperGroup):
    """A group of commands that takes no help text in it for markup: `[s]` is seconds, no style."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As that of the base class."""
        super().__init__(*arguments, **options)
        if self.rich_markup_mode == "rich":  # else texts are shown as they are
            _escape_texts(self)


def _escape_texts(command: Any) -> None:
    """Mark brackets as plain text in all that `--help` shows of a command and of those below."""
    for part in (command, *command.params):
        for name in ("help", "short_help", "epilog"):
            text = getattr(part, name, None)
            if text:
                setattr(part, name, escape(text))
    for below in getattr(command, "commands", {}).values():
        _escape_texts(below)
