"""`kp3d reproduce`: the paper's experiments on the built-in categories."""

from __future__ import annotations

from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.training_options import Jobs, Threads

CONTEXT = {"ignore_unknown_options": True}
"""Options that are not ours are settings of the training: they end up among the arguments."""


class Experiment(str, Enum):
    """What can be reproduced."""

    TABLE1 = "table1"
    ABLATIONS = "ablations"


def reproduce(
    experiment: Annotated[
        Experiment,
        typer.Argument(
            help="table1: Table 1 and Figure 2, supervised or discovered keypoints, with which "
            "orientation. ablations: Figure 6 with numbers, what each loss is for."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="--model.KEY=VALUE",
            help="Settings of every training, as in `kp3d train`: --data.objects_per_batch=64.",
        ),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(
            help="car, chair or plane; can be repeated.",
            show_default="all in table1, car in ablations",
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="Only this row of the table; can be repeated.", show_default="all"),
    ] = None,
    budget: Annotated[int, typer.Option(help="Training steps of each row.")] = 4000,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results; an unfinished run in it is continued.",
            show_default="runs/EXPERIMENT",
        ),
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder for rendered sets.")] = Path("data/reproduce"),
    train: Annotated[str, typer.Option(help="Training set, INSTANCESxVIEWS.")] = "1000x24",
    val: Annotated[str, typer.Option(help="Validation set, INSTANCESxVIEWS.")] = "40x16",
    test: Annotated[str, typer.Option(help="Unseen test set, INSTANCESxVIEWS.")] = "100x200",
    pairs: Annotated[int, typer.Option(help="Random pairs of views of each test instance.")] = 100,
    configs: Annotated[Path, typer.Option(help="Folder of training configurations.")] = Path(
        "config/train"
    ),
    jobs: Jobs = None,
    threads: Threads = None,
) -> None:
    """Make one of the paper's experiments, resumable: data, training, measuring, tables."""
    output = output or Path("runs") / experiment.value
    with user_errors(RuntimeError, FloatingPointError):
        import joblib
        import torch

        from kp3d_core.reproduce import ablations, table1
        from kp3d_core.reproduce.paper import CATEGORIES
        from kp3d_core.reproduce.reproduction import Reproduction
        from kp3d_core.reproduce.settings import SetSize, Settings

        sizes = SetSize.parse(train), SetSize.parse(val), SetSize.parse(test)
        settings = Settings(budget, pairs, *sizes, _checked(overrides or []))
        if threads is not None:
            torch.set_num_threads(threads)
        is_table = experiment is Experiment.TABLE1
        rows = table1.ROWS if is_table else ablations.VARIANTS
        jobs = jobs or joblib.cpu_count()
        made = Reproduction(rows, output, data, configs, settings, jobs, typer.echo)
        made.run(
            category or (CATEGORIES if is_table else ["car"]),
            variant or (),
            partial(table1.write_table if is_table else ablations.write_report, made),
        )
    typer.echo(f"Written to {output}: {experiment.value}.md, {experiment.value}.json and pictures")


def _checked(overrides: list[str]) -> tuple[str, ...]:
    stray = [value for value in overrides if not value.startswith("--")]
    if stray:
        raise ValueError(
            f"Settings of the training must look like --data.seed=1, got {' '.join(stray)}. "
            "Join name and value with =."
        )
    return tuple(overrides)
