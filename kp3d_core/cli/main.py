"""The `kp3d` command."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

from kp3d_core.cli.bench import bench
from kp3d_core.cli.build import build
from kp3d_core.cli.build_engine import build_engine
from kp3d_core.cli.convert_tfrecords import convert_tfrecords
from kp3d_core.cli.evaluate import evaluate
from kp3d_core.cli.export_meshes import export_meshes
from kp3d_core.cli.finetune import finetune
from kp3d_core.cli.import_meshes import import_meshes
from kp3d_core.cli.infer import infer
from kp3d_core.cli.literal_help import LiteralHelp
from kp3d_core.cli.new import new
from kp3d_core.cli.package import package
from kp3d_core.cli.render import render
from kp3d_core.cli.reproduce import CONTEXT as REPRODUCE_CONTEXT
from kp3d_core.cli.reproduce import reproduce
from kp3d_core.cli.robustness import robustness
from kp3d_core.cli.train import CONTEXT, train
from kp3d_core.cli.weights import weights

app = typer.Typer(
    name="kp3d",
    cls=LiteralHelp,
    help="Semantic 3D keypoints from one RGB image: make data, train, package, evaluate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


app.command()(infer)
app.command("import")(import_meshes)
app.command()(export_meshes)
app.command()(convert_tfrecords)
app.command()(new)
app.command()(build)
app.command()(render)
app.command(context_settings=CONTEXT)(train)
app.command()(finetune)
app.command()(weights)
app.command()(package)
app.command()(evaluate)
app.command()(robustness)
app.command(context_settings=REPRODUCE_CONTEXT)(reproduce)
app.command()(build_engine)
app.add_typer(bench, name="bench")
# Commands of packages that build on this one and that it does not know, such as the ROS node.
for parent, group in ((app, "kp3d.commands"), (bench, "kp3d.bench")):
    for plugin in entry_points(group=group):
        try:
            command = plugin.load()
        except ImportError:  # without what that package needs, the other commands still work
            continue
        if isinstance(command, typer.Typer):  # one that has commands of its own
            parent.add_typer(command, name=plugin.name)
        else:
            parent.command(plugin.name)(command)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
