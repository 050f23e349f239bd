"""`kp3d demo grasp` from the first trial to the last picture."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from kp3d_core.files import write_json
from kp3d_ros.demo.grasp.recorder import Recorder
from kp3d_ros.demo.grasp.summary import print_table, summarize
from kp3d_ros.demo.grasp.trials import Loop, Result, Settings
from kp3d_ros.demo.transport import configure_transport


def run(console: Console, output: Path, settings: Settings) -> None:
    """Try, film the first success, and write down what came of each trial.

    Args:
        console: where progress and results are printed.
        output: folder for summary, pictures and logs.
        settings: what is tried.

    Raises:
        RuntimeError: a process ended, or nothing goes on.
    """
    started = time.monotonic()
    output.mkdir(parents=True, exist_ok=True)
    configure_transport()
    results: list[Result] = []
    written = ["summary.json"]
    loop = Loop(settings, output)
    try:
        recorder = Recorder(loop.simulator, output, overlays=not settings.true_pose)
        loop.on_world = recorder.begin
        for result in loop.run():
            results.append(result)
            console.print(_line(result), highlight=False)
            if len(written) == 1 and (pictures := recorder.finish(result.success)):
                written += pictures
                loop.on_world = None
            summary = summarize(results, settings, time.monotonic() - started)
            write_json(output / "summary.json", summary)
    finally:
        loop.close()
    print_table(summarize(results, settings, time.monotonic() - started), console)
    seconds = time.monotonic() - started
    console.print(f"Wrote {', '.join(written)} to {output} in {seconds:.0f} s.", highlight=False)


def _line(result: Result) -> str:
    error = "" if result.error_mm is None else f", {result.error_mm:.1f} mm off"
    how = f"by the {result.kind}" if result.kind else "no grasp"
    outcome = "picked up" if result.success else f"not picked up: {result.reason}"
    return f"{result.trial:4d}  {result.mug}: {outcome} ({how}{error}, {result.duration_s:.0f} s)"
