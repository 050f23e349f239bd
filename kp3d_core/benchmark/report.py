"""`docs/performance.md`, made of the JSON files of `kp3d bench`, with a plot of how cost grows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kp3d_core.files import atomic_writer

PLOT_NAME = "performance.svg"

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
    """Write the page, and the plot into `images/` beside it.

    Args:
        results: of `kp3d bench engine`, the first on the machine as it is, others limited by
            environment variables or threads, which the page names.
        page: file to write, atomically.
    """
    runs = list(results)
    images = page.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    plot_growth(runs[0], images / PLOT_NAME)
    with atomic_writer(page) as stream:
        stream.write(performance_page(runs).encode())


def performance_page(runs: list[Mapping[str, Any]]) -> str:
    """The page's Markdown."""
    parts = [
        "# Performance\n",
        "Made by `kp3d bench report` of figures that `kp3d bench engine` measured; do not edit.\n"
        "The baseline is measured in the same run: both networks of the paper at 128x128 in eager\n"
        "PyTorch float32, with the same number of threads. Times are of one engine call.\n",
        *(_section(run) for run in runs),
        "## How cost grows\n",
        f"![Time per call and per object over the batch size](images/{PLOT_NAME})\n",
        "## Peers\n",
        _PEERS,
    ]
    return "\n".join(parts)


def plot_growth(run: Mapping[str, Any], path: Path) -> None:
    """Time of a call and of one object in it, over the batch size, for each engine's best."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharex=True, layout="constrained")
    for (name, precision), rows in _by_batch(run).items():
        batches = [row["batch"] for row in rows]
        label = f"{name.split()[0]} {precision}"
        axes[0].plot(batches, [row["p50_ms"] for row in rows], "o-", label=label)
        axes[1].plot(batches, [row["p50_ms"] / row["batch"] for row in rows], "o-", label=label)
    for axis, title in zip(axes, ("one call", "one object of it"), strict=True):
        axis.set(title=title, xlabel="objects in the batch", ylabel="median [ms]", ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _section(run: Mapping[str, Any]) -> str:
    machine, settings = run["machine"], run["settings"]
    limits = " ".join(f"`{key}={value}`" for key, value in machine["limits"].items())
    lines = [
        f"## {machine['cpu']}, {settings['threads']} threads{', ' + limits if limits else ''}\n",
        f"{' '.join(machine['instructions']) or 'no vector extensions known here'}; matrix product "
        f"{run['peak_gflops']:.0f} GFLOP/s; load before the run {machine['load_before']:.2f}; "
        f"Python {machine['python']}, torch {machine.get('torch', '-')}; commit "
        f"{machine['commit'][:12]}, {machine['created'][:10]}.\n",
        "| ratio | |",
        "|---|---|",
        *(
            f"| {text} | {run['ratios'][k]:.3g} |"
            for k, text in RATIOS.items()
            if k in run["ratios"]
        ),
        "",
        "| network | input | engine | precision | batch | p50 [ms] | p99 [ms] | images/s | "
        "GFLOP/image | of peak |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(row, run["peak_gflops"]) for row in all_rows(run)),
        "",
    ]
    return "\n".join(lines)


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


def _by_batch(run: Mapping[str, Any]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Rows of `fast` per engine and precision, by batch size."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in run["rows"]:
        if row["network"] == "fast":
            found.setdefault((row["name"], row["precision"]), []).append(row)
    return {key: sorted(rows, key=lambda row: row["batch"]) for key, rows in found.items()}
