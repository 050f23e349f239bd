"""What benchmark commands have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console


def measured(
    measure: Callable[..., dict[str, Any]], settings: Any, json_file: Path | None
) -> dict[str, Any]:
    """Result of a benchmark, which is told to be running and written to a file.

    Args:
        measure: takes the settings and a function that is called with what it is at.
        settings: of the benchmark.
        json_file: for the result, if any.
    """
    with Console(stderr=True).status("measuring") as status:
        result = measure(settings, lambda what: status.update(f"measuring: {what}"))
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=2) + "\n")
    return result
