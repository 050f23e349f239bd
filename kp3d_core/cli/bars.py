"""Progress bars of work in several parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rate(ProgressColumn):
    """How much is done in a second."""

    def render(self, task: Task) -> Text:
        """Show it, or nothing before anything is done."""
        return Text(f"{task.speed:.3g}/s" if task.speed else "")


@contextmanager
def bars_by_part() -> Iterator[Callable[[str, int, int], None]]:
    """The bar of the part that is at work, on standard error, with its rate and the time left.

    To be told (part, how much is done, of how much).
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def show(part: str, done: int, total: int) -> None:
            if part not in tasks:
                tasks[part] = progress.add_task(part, total=total)
            progress.update(tasks[part], completed=done, total=total)
            for name, task in tasks.items():
                progress.update(task, visible=name == part)

        yield show
