"""The demonstration from the first image to the last picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kp3d_core.files import write_json
from kp3d_ros.demo import measure, pictures, report, scene, stream
from kp3d_ros.demo.film import Film, shoot
from kp3d_ros.demo.transport import configure_transport

if TYPE_CHECKING:
    from kp3d_ros.demo.viewer import Viewer


def run(
    console: Console,
    output: Path,
    model: str,
    seed: int,
    frames: int,
    rate_hz: float,
    background: str,
    with_depth: bool = False,
    viewer: Viewer | None = None,
) -> None:
    """Shoot the film, play it to the node, measure and show the answers.

    Args:
        console: where progress and results are printed.
        output: folder for summary and pictures.
        model: model file, or name of a shipped model.
        seed: which car.
        frames: number of images.
        rate_hz: images per second.
        background: one of `scene.BACKGROUNDS`.
        with_depth: give the node depth images, too; it then takes the scale from them.
        viewer: shows the film with the answers at the end.

    Raises:
        RuntimeError: the node failed or gave no pose.
    """
    started = time.monotonic()
    output.mkdir(parents=True, exist_ok=True)
    configure_transport()
    columns = (
        TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    film = Film()
    with (
        Progress(*columns, console=console, refresh_per_second=4) as progress,
        stream.NodeProcess(model, output / "node.log", use_depth=with_depth) as node,
    ):
        shooting = progress.add_task("Rendering", total=frames)
        for done in shoot(film, seed, frames, rate_hz, background):
            progress.update(shooting, completed=done)
        playing = progress.add_task("Streaming", total=frames)
        recording = stream.stream(
            film,
            node,
            rate_hz=rate_hz,
            seed=seed,
            on_progress=lambda done: progress.update(playing, completed=done),
            with_depth=with_depth,
        )
    results = measure.evaluate(recording, film)
    summary = {
        **measure.summarize(recording, results),
        "engine": recording.diagnostics.get("engine", "unknown"),
        "device": recording.diagnostics.get("device", "unknown"),
        "image": f"{scene.WIDTH}x{scene.HEIGHT}",
        "rate_in_hz": rate_hz,
        "seed": seed,
        "kind": film.kind,
        "background": background,
        "with_depth": with_depth,
        "versions": report.versions(recording),
    }
    write_json(output / "summary.json", summary)
    if not results:
        raise RuntimeError(
            f"No pose came: {len(recording.sent)} images were sent, "
            f"{len(recording.received)} processed. The node printed: {node.output()}"
        )
    pictures.write_overlay(output / "overlay.png", film, recording, results)
    pictures.write_animation(output / "demo.gif", film, recording, results, rate_hz)
    report.print_table(summary, film.kind, console)
    console.print(
        f"Wrote {output}/summary.json, overlay.png and demo.gif "
        f"in {time.monotonic() - started:.0f} s.",
        highlight=False,
    )
    if viewer:
        console.print(viewer.show(film, recording), highlight=False)
