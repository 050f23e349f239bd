"""`kp3d infer`: a model on images, folders and videos."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_folder
from kp3d_core.inference import Detector, DetectorSettings, Region, create_engine, load_model
from kp3d_core.inference.acceptance import DEFAULT_MAX_WRONG
from kp3d_core.offline.calibration_file import read_camera
from kp3d_core.offline.infer import InferSettings, Summary
from kp3d_core.offline.infer import infer as look_at
from kp3d_core.offline.sources import find_files, frame_count

_SHOWN = 5


def infer(
    model: Annotated[str, typer.Argument(help="Path of an .onnx model file or a shipped name.")],
    sources: Annotated[list[Path], typer.Argument(help="Images, videos, or folders of them.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for pictures, JSON and CSV.")
    ] = Path("inference"),
    camera: Annotated[
        Path | None, typer.Option(help="Calibration file of ROS's camera_calibration (YAML).")
    ] = None,
    fov: Annotated[
        float, typer.Option(help="Horizontal field of view where there is no calibration [deg].")
    ] = 60.0,
    box: Annotated[
        list[str] | None,
        typer.Option(help="Box around an object: x,y,width,height [px]. Can be repeated."),
    ] = None,
    object_size: Annotated[
        float | None,
        typer.Option(help="Longest dimension of the object [m]; without it all is up to scale."),
    ] = None,
    max_objects: Annotated[int, typer.Option(help="Most objects in one image.", min=1)] = 1,
    max_wrong: Annotated[
        float,
        typer.Option(help="Largest share of wrong objects among those told.", min=0, max=1),
    ] = DEFAULT_MAX_WRONG,
    engine: Annotated[str, typer.Option(help="Inference engine, or auto.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, fp16, int8 or auto.")] = "auto",
) -> None:
    """Find objects in images and videos: overlays, detections.json and keypoints.csv."""
    with user_errors():
        files = find_files(sources)
        boxes = tuple(_region(text) for text in box or ())
        settings = InferSettings(
            camera=read_camera(camera) if camera else None,
            fov_deg=fov,
            boxes=boxes,
            max_objects=max(max_objects, len(boxes)),
        )
        check_output_folder(output)
        loaded = load_model(model)
        detector = Detector(
            loaded,
            create_engine(loaded, engine, precision=precision),
            object_size_m=object_size,
            settings=DetectorSettings(max_wrong=max_wrong),
        )
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("looking", total=sum(map(frame_count, files)))
            summary = look_at(
                detector, files, output, settings, lambda frame: progress.advance(task)
            )
    _report(summary, output, settings)
    if not summary.records:
        raise typer.Exit(1)


def _region(text: str) -> Region:
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"--box must be x,y,width,height [px], four numbers with commas, got {text!r}."
        ) from error
    return Region(x, y, width, height)


def _report(summary: Summary, output: Path, settings: InferSettings) -> None:
    say, warn = typer.echo, lambda text: typer.secho(text, fg="yellow", err=True)
    for text in summary.unreadable:
        warn(f"Left out: {text}")
    empty = [record for record in summary.records if not record["objects"]]
    reasons = Counter(record["refused"][0] for record in empty if record["refused"])
    say(f"Objects in {summary.answered} of {len(summary.records)} images.")
    for reason, count in reasons.most_common(_SHOWN):
        warn(f"No object in {count}, for example: {reason}.")
    if empty and not settings.boxes:
        warn("The whole image was searched. Pass --box where the object is known to be.")
    if settings.camera is None:
        warn(
            f"No calibration: a field of view of {settings.fov_deg:g} degrees was assumed. "
            "Distances are as right as that is; pass --camera or --fov."
        )
    say(f"Written to {output}: detections.json, keypoints.csv, {len(summary.pictures)} pictures.")
