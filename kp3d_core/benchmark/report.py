"""`docs/performance.md`, made of the JSON files of `kp3d bench`, with plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kp3d_core.benchmark.plots import plot_growth, plot_node
from kp3d_core.files import atomic_writer

GROWTH_PLOT, NODE_PLOT = "performance_growth.svg", "performance_node.svg"
_KINDS = ("engine", "node", "train", "render")

RATIOS = {
    "fast_best_speedup": "`fast`, best CPU engine, over the baseline",
    "fast_onnxruntime_speedup": "`fast`, ONNX Runtime, over the baseline",
    "paper_best_speedup": "`paper`, best CPU engine, over the baseline",
    "batch16_over_batch1": "time of 16 objects in one batch over that of one",
    "dope_shaped_over_fast": "time of the DOPE-shaped network over that of `fast`, fp32",
}
"""What each ratio says."""
_PEERS = """\
Published by NVIDIA in `isaac_ros_pose_estimation` and `isaac_ros_benchmark` (release 4.4, engines
in fp16), peak rate and latency at 30 Hz; not measured here, and on other hardware than ours. The
benchmark of CenterPose sends no more than 50 images a second:

| graph | sizes | AGX Thor T5000 | RTX 5090 |
|---|---|---|---|
| Isaac ROS DOPE | image 1920x1200, network 640x480 | 143 Hz, 22 ms | 193 Hz, 17 ms |
| its network alone | 640x480 | 165 Hz, 6.4 ms | 300 Hz, 4.0 ms |
| Isaac ROS CenterPose | image 1920x1200, network 512x512 | 50.2 Hz, 27 ms | 50.2 Hz, 19 ms |
| Isaac ROS FoundationPose, estimate | 1280x720 RGB-D | 3.15 Hz, 370 ms | 10.1 Hz, 99 ms |
| Isaac ROS FoundationPose, tracking | 1280x720 RGB-D | 162 Hz, 13 ms | 243 Hz, 9 ms |

On an AGX Orin (release 3.2): DOPE 27.3 Hz, 54 ms; CenterPose 44.8 Hz; FoundationPose estimate
1.54 Hz, 780 ms.
"""


def write_report(results: Iterable[Mapping[str, Any]], page: Path) -> None:
    """Write the page, and its plots into `images/` beside it.

    Args:
        results: of any benchmarks, in the order in which they are to appear; the first of a kind
            is that on the machine as it is, others are limited by environment variables or
            threads, which the page names.
        page: file to write, atomically.

    Raises:
        ValueError: a result is not of a benchmark that this version knows.
    """
    runs = list(results)
    for run in runs:
        if run.get("kind") not in _KINDS:
            raise ValueError(
                f"Results must be of {', '.join(f'`kp3d bench {kind}`' for kind in _KINDS)}, got "
                f"kind {run.get('kind')!r}. Measure again with this version."
            )
    images = page.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    for kind, plot, name in (("engine", plot_growth, GROWTH_PLOT), ("node", plot_node, NODE_PLOT)):
        if first := _of(runs, kind):
            plot(first[0], images / name)
    with atomic_writer(page) as stream:
        stream.write(performance_page(runs).encode())


def performance_page(runs: list[Mapping[str, Any]]) -> str:
    """The page's Markdown."""
    parts = [
        "# Performance\n",
        "Made by `kp3d bench report` of figures that `kp3d bench engine`, `node`, `train` and\n"
        "`render` measured; do not edit. Each measured the baseline in the same run: both\n"
        "networks of the paper at 128x128 in eager PyTorch float32, with as many threads.\n",
    ]
    for kind, title, section in _SECTIONS:
        chosen = _of(runs, kind)
        if chosen:
            parts += [f"## {title}\n", *(section(run) for run in chosen)]
        if chosen and kind == "engine":
            parts += [
                "### How cost grows\n",
                "Over the objects in a batch, the size of the network's input (random weights), "
                "and the\nobjects in an image from the camera image to their poses, without "
                "ROS:\n",
                f"![Time over batch, input size and objects](images/{GROWTH_PLOT})\n",
            ]
        if chosen and kind == "node":
            parts += [f"![Latency and its parts](images/{NODE_PLOT})\n"]
    return "\n".join([*parts, "## Peers\n", _PEERS])


def _of(runs: Iterable[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [run for run in runs if run["kind"] == kind]


def _machine(run: Mapping[str, Any]) -> str:
    """Heading of a run and what it ran on."""
    machine = run["machine"]
    limits = " ".join(f"`{key}={value}`" for key, value in machine["limits"].items())
    return (
        f"### {machine['cpu']}, {run['threads']} threads{', ' + limits if limits else ''}\n\n"
        f"{' '.join(machine['instructions']) or 'no vector extensions known here'}; matrix product "
        f"{run['peak_gflops']:.0f} GFLOP/s; baseline {run['baseline']['p50_ms']:.0f} ms; load "
        f"before the run {machine['load_before']:.2f}; Python {machine['python']}, torch "
        f"{machine.get('torch', '-')}; commit {machine['commit'][:12]}, "
        f"{machine['created'][:10]}.\n"
    )


def _table(header: str, rows: Iterable[str]) -> str:
    columns = header.count("|") - 1
    return "\n".join([header, "|" + "---|" * columns, *rows, ""])


def _engine_section(run: Mapping[str, Any]) -> str:
    ratios = (
        f"| {text} | {run['ratios'][k]:.3g} |" for k, text in RATIOS.items() if k in run["ratios"]
    )
    rows = (_row(row, run["peak_gflops"]) for row in all_rows(run))
    return "\n".join(
        [
            _machine(run),
            _table("| ratio | |", ratios),
            _table(
                "| network | input | engine | precision | batch | p50 [ms] | p99 [ms] | images/s | "
                "GFLOP/image | of peak |",
                rows,
            ),
        ]
    )


def _node_section(run: Mapping[str, Any]) -> str:
    rows = (
        f"| {size} | {r['latency_ms_p50']:.2f} | {r['latency_ms_p99']:.2f} "
        f"| {r['engine_ms_p50']:.2f} | {r['overhead_ms_p50']:.2f} | {r['own_ms_p50']:.2f} "
        f"| {r['frames_processed']} of {r['frames_in']} | {r['max_rate_hz']:.0f} "
        f"| {r['start_s']:.2f} | {r['rss_mb']:.0f} |"
        for size, r in run["resolutions"].items()
    )
    text = (
        f"Model `{Path(run['settings']['model']).name}` on {run['engine']}, {run['device']}, in "
        f"{run['precision']}; rclpy {run['machine'].get('rclpy', '-')}, "
        f"{run['machine'].get('rmw', '-')}. Node and simulated camera are processes of this one "
        "machine;\nlatency is from the image's stamp, before it is sent, until its keypoints are "
        "received, at 30 Hz.\nOverhead is all of it but the engine call; the node's own part is "
        "from taking an image to the end of\npublishing, the rest is transport. The highest rate "
        "is that with less than 5 % of the images lost.\n"
    )
    header = (
        "| image | p50 [ms] | p99 [ms] | engine [ms] | overhead [ms] | own part [ms] | answered | "
        "highest rate [Hz] | start [s] | memory [MB] |"
    )
    return "\n".join([_machine(run), text, _table(header, rows)])


def _train_section(run: Mapping[str, Any]) -> str:
    stages = list(run["rows"][0]["shares"])
    rows = (
        f"| `{r['config']}` | {r['precision']} | {r['input_size']} | {r['images_per_step']} "
        f"| {r['images_per_s']:.1f} | {r['step_ms']:.0f} | "
        + " | ".join(f"{r['shares'][stage]:.1%}" for stage in stages)
        + " |"
        for r in run["rows"]
    )
    header = (
        "| recipe | network in | input | images/step | images/s | step [ms] | "
        + " | ".join(stages)
        + " |"
    )
    text = (
        f"A step of the first recipe sees {run['ratios']['train_over_plain']:.0f} times as many "
        "images per second as the plain\nform, the paper's networks in eager float32. `data` is "
        "the share of time in which the step waits\nfor input.\n"
    )
    return "\n".join([_machine(run), text, _table(header, rows)])


def _render_section(run: Mapping[str, Any]) -> str:
    rows = (
        f"| {r['category']} | {r['image_size']} | {r['jobs']} | {r['images_per_s']:.0f} |"
        for r in run["rows"]
    )
    text = (
        f"Whole data sets by `kp3d render`: shapes, {run['settings']['views']} views each, files. "
        f"{run['blender']}\n"
    )
    header = "| category | size [px] | processes | images/s |"
    return "\n".join([_machine(run), text, _table(header, rows)])


_SECTIONS: tuple[tuple[str, str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("engine", "Engines", _engine_section),
    ("node", "Node", _node_section),
    ("train", "Training", _train_section),
    ("render", "Rendering", _render_section),
)
"""Kind of benchmark, title on the page, and what writes it."""


def all_rows(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one run, the baseline first and the network of DOPE's shape last."""
    rows = [run["baseline"] | {"network": "baseline", "name": "PyTorch eager", "precision": "fp32"}]
    rows += run["rows"]
    if "dope_shaped" in run:
        dope = {"network": "DOPE-shaped", "name": "onnxruntime", "precision": "fp32"}
        rows.append(run["dope_shaped"] | dope | {"input_size": "640x480"})
    return rows


def _row(row: Mapping[str, Any], peak: float) -> str:
    return (
        f"| {row['network']} | {row['input_size']} | {row['name']} | {row['precision']} "
        f"| {row['batch']} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {row['images_per_s']:.1f} "
        f"| {row['gflop_per_image']:.3g} | {row['gflops'] / peak:.0%} |"
    )
