"""Options that hold several numbers."""

from __future__ import annotations


def whole_numbers(name: str, text: str) -> tuple[int, ...]:
    """Whole numbers with commas between; `ValueError` that names the option if they are not."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"{name} must be whole numbers with commas between, got {text!r}. For example: 1,4,16"
        ) from error
