"""`kp3d reproduce`: the paper's experiments on the built-in categories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kp3d_core.cli.errors import user_errors

if TYPE_CHECKING:
    from kp3d_core.reproduce.runner import Runner

reproduce = typer.Typer(
    help="The paper's experiments, resumable: data, training, measuring, tables.",
    no_args_is_help=True,
)

_CONTEXT = {"ignore_unknown_options": True}
"""Options that are not ours are settings of the training: they end up among the arguments."""

Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="--model.KEY=VALUE",
        help="Further settings of every training, as in `kp3d train`: --data.objects_per_batch=64.",
    ),
]
Categories = Annotated[
    list[str] | None, typer.Option("--category", help="car, chair or plane; can be repeated.")
]
Budget = Annotated[int, typer.Option(help="Training steps of each row.")]
Data = Annotated[Path, typer.Option(help="Folder for rendered sets: DATA/CATEGORY/SPLIT.")]
Train = Annotated[str, typer.Option(help="Training set, INSTANCESxVIEWS.")]
Val = Annotated[str, typer.Option(help="Validation set, INSTANCESxVIEWS.")]
Test = Annotated[str, typer.Option(help="Unseen test set, INSTANCESxVIEWS.")]
Pairs = Annotated[int, typer.Option(help="Random pairs of views of each test instance.")]
Configs = Annotated[Path, typer.Option(help="Folder of training configurations.")]
Jobs = Annotated[
    int | None, typer.Option(help="Processes that render.", show_default="all CPU cores")
]
Threads = Annotated[
    int | None, typer.Option(help="CPU threads of training.", show_default="all cores")
]


@reproduce.command(context_settings=_CONTEXT)
def table1(
    overrides: Overrides = None,
    category: Categories = None,
    budget: Budget = 4000,
    output: Annotated[
        Path, typer.Option(help="Folder for the results; an unfinished run in it is continued.")
    ] = Path("runs/table1"),
    data: Data = Path("data/reproduce"),
    train: Train = "1000x24",
    val: Val = "40x16",
    test: Test = "100x200",
    pairs: Pairs = 100,
    configs: Configs = Path("config/train"),
    jobs: Jobs = None,
    threads: Threads = None,
) -> None:
    """Make Table 1 and Figure 2: supervised or discovered keypoints, with which orientation."""
    with user_errors(RuntimeError, FloatingPointError):
        from kp3d_core.data.procedural import CATEGORIES
        from kp3d_core.reproduce.table1 import reproduce_table1

        runner = _runner(
            output, data, configs, (train, val, test), budget, pairs, overrides or [], jobs, threads
        )
        reproduce_table1(runner, category or CATEGORIES)
    typer.echo(f"Written to {output}: table1.md, table1.json, figure2.png")


@reproduce.command(context_settings=_CONTEXT)
def ablations(
    overrides: Overrides = None,
    category: Categories = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="Only this variant; can be repeated.", show_default="all"),
    ] = None,
    budget: Budget = 4000,
    output: Annotated[
        Path, typer.Option(help="Folder for the results; an unfinished run in it is continued.")
    ] = Path("runs/ablations"),
    data: Data = Path("data/reproduce"),
    train: Train = "1000x24",
    val: Val = "40x16",
    test: Test = "100x200",
    pairs: Pairs = 100,
    configs: Configs = Path("config/train"),
    jobs: Jobs = None,
    threads: Threads = None,
) -> None:
    """Make Figure 6 with numbers: what each loss is for, by leaving it out. Default: cars."""
    with user_errors(RuntimeError, FloatingPointError):
        from kp3d_core.reproduce.ablations import reproduce_ablations

        runner = _runner(
            output, data, configs, (train, val, test), budget, pairs, overrides or [], jobs, threads
        )
        reproduce_ablations(runner, category or ["car"], variant or ())
    typer.echo(f"Written to {output}: ablations.md, ablations.json, figure6_CATEGORY.png")


def _runner(
    output: Path,
    data: Path,
    configs: Path,
    sizes: tuple[str, str, str],
    budget: int,
    pairs: int,
    overrides: list[str],
    jobs: int | None,
    threads: int | None,
) -> Runner:
    import joblib
    import torch

    from kp3d_core.reproduce.runner import Runner
    from kp3d_core.reproduce.settings import SetSize, Settings

    stray = [value for value in overrides if not value.startswith("--")]
    if stray:
        raise ValueError(
            f"Settings of the training must look like --data.seed=1, got {' '.join(stray)}. "
            "Join name and value with =."
        )
    train, val, test = map(SetSize.parse, sizes)
    settings = Settings(budget, pairs, train, val, test, tuple(overrides))
    if threads is not None:
        torch.set_num_threads(threads)
    return Runner(output, data, configs, settings, jobs or joblib.cpu_count(), typer.echo)
