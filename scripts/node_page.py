"""Write the table of parameters into docs/node.md, from what the node declares."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from kp3d_ros.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "node.md"
BEGIN, END = "<!-- parameters: scripts/node_page.py -->\n", "<!-- end of parameters -->\n"


def parameter_table() -> str:
    """All parameters as a Markdown table."""
    rows = ["| parameter | default | values | |", "|---|---|---|---|"]
    for field in dataclasses.fields(Settings):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        text = "true" if default is True else "false" if default is False else f"{default}"
        fixed = " Fixed." if field.metadata["fixed"] else ""
        rows.append(
            f"| `{field.name}` | {f'`{text}`' if text else ''} "
            f"| {_values(field.metadata['within'])} | {field.metadata['description']}{fixed} |"
        )
    return "\n".join(rows) + "\n"


def _values(within: tuple[float, float] | tuple[str, ...] | None) -> str:
    if within is None:
        return ""
    if isinstance(within[0], str):
        return ", ".join(f"`{value}`" for value in within)
    return f"{within[0]:g} to {within[1]:g}"


def with_table(page: str) -> str:
    """The page with the table of today.

    Raises:
        ValueError: the page has no place for it.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} must hold {BEGIN.strip()} and {END.strip()}.")
    return before + begin + "\n" + parameter_table() + "\n" + end + after


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
