"""The result of a benchmark as a section of `docs/performance.md`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

RATIOS = {
    "fast_best_speedup": "`fast`, best CPU engine, over the baseline",
    "fast_onnxruntime_speedup": "`fast`, ONNX Runtime, over the baseline",
    "paper_best_speedup": "`paper`, best CPU engine, over the baseline",
    "batch16_over_batch1": "time of 16 objects in one batch over that of one",
}
"""What each ratio says."""


def section(result: Mapping[str, Any]) -> str:
    """Markdown of the content of a JSON file of `kp3d bench`."""
    machine = result["machine"]
    limits = " ".join(f"`{key}={value}`" for key, value in machine["limits"].items())
    about = (
        f"### {machine['cpu']}, {result['threads']} threads{', ' + limits if limits else ''}\n\n"
        f"{' '.join(machine['instructions']) or 'no vector extensions known here'}; matrix product "
        f"{result['peak_gflops']:.0f} GFLOP/s; baseline {result['baseline']['p50_ms']:.0f} ms; "
        f"load before the run {machine['load_before']:.2f}; Python {machine['python']}, torch "
        f"{machine.get('torch', '-')}; commit {machine['commit'][:12]}, "
        f"{machine['created'][:10]}.\n"
    )
    return "\n".join([about, *_PARTS[result["kind"]](result)])


def _table(header: str, rows: Iterable[str]) -> str:
    columns = header.count("|") - 1
    return "\n".join([header, "|" + "---|" * columns, *rows, ""])


def _engine(result: Mapping[str, Any]) -> list[str]:
    baseline = {"network": "baseline", "name": "PyTorch eager", "precision": "fp32"}
    peak, ratios = result["peak_gflops"], result["ratios"]
    rows = (
        f"| {r['network']} | {r['input_size']} | {r['name']} | {r['precision']} | {r['batch']} "
        f"| {r['p50_ms']:.2f} | {r['p99_ms']:.2f} | {r['images_per_s']:.1f} "
        f"| {r['gflop_per_image']:.3g} | {r['gflops'] / peak:.0%} |"
        for r in (result["baseline"] | baseline, *result["rows"])
    )
    objects = (
        f"| {r['objects']} | {r['name']} | {r['precision']} | {r['p50_ms']:.2f} "
        f"| {r['p99_ms']:.2f} |"
        for r in result.get("objects", ())
    )
    parts = [
        _table("| ratio | |", (f"| {RATIOS[key]} | {ratios[key]:.3g} |" for key in ratios)),
        _table(
            "| network | input | engine | precision | batch | p50 [ms] | p99 [ms] | images/s | "
            "GFLOP/image | of peak |",
            rows,
        ),
    ]
    if "objects" in result:
        parts += [
            "From one camera image to the poses of objects that are followed, without ROS:\n",
            _table("| objects | engine | precision | p50 [ms] | p99 [ms] |", objects),
        ]
    reasons = sorted({*result["missing"].values()})
    return [*parts, *(f"Not measured: {reason}\n" for reason in reasons)]


def _node(result: Mapping[str, Any]) -> list[str]:
    machine, sizes = result["machine"], result["resolutions"]
    rows = (
        f"| {size} | {r['latency_ms_p50']:.2f} | {r['latency_ms_p99']:.2f} "
        f"| {r['engine_ms_p50']:.2f} | {r['overhead_ms_p50']:.2f} | {r['own_ms_p50']:.2f} "
        f"| {r['frames_processed']} of {r['frames_in']} | {r['max_rate_hz']:.0f} "
        f"| {r['start_s']:.2f} | {r['rss_mb']:.0f} |"
        for size, r in sizes.items()
    )
    text = (
        f"Model `{Path(result['settings']['model']).name}` on {result['engine']}, "
        f"{result['device']}, in {result['precision']}; rclpy {machine.get('rclpy', '-')}, "
        f"{machine.get('rmw', '-')}. Node and simulated camera are processes of this one machine;\n"
        "latency is from the image's stamp, before it is sent, until its keypoints are received, "
        "at 30 Hz.\nOverhead is all of it but the engine call; the node's own part is from taking "
        "an image to the end of\npublishing, the rest is transport. The highest rate is that with "
        "less than 5 % of the images lost.\n"
    )
    header = (
        "| image | p50 [ms] | p99 [ms] | engine [ms] | overhead [ms] | own part [ms] | answered | "
        "highest rate [Hz] | start [s] | memory [MB] |"
    )
    ended = "; ".join(f"{size}: {r['max_rate_limit']}" for size, r in sizes.items())
    return [text, _table(header, rows), f"The search for the highest rate ended: {ended}.\n"]


def _train(result: Mapping[str, Any]) -> list[str]:
    rows = (
        f"| `{r['config']}` | {r['precision']} | {r['input_size']} | {r['images_per_step']} "
        f"| {r['images_per_s']:.1f} | {r['step_ms']:.0f} | {r['data_wait_share']:.1%} |"
        for r in result["rows"]
    )
    text = (
        f"A step of the first recipe sees {result['ratios']['train_over_plain']:.0f} times as many "
        "images per second as the plain\nform, the paper's networks in eager float32. `data` is "
        "the share of time in which the step waits\nfor input.\n"
    )
    header = "| recipe | network in | input | images/step | images/s | step [ms] | data |"
    return [text, _table(header, rows)]


def _render(result: Mapping[str, Any]) -> list[str]:
    light = result["settings"].get("light", "overhead")
    rows = (
        f"| {r['category']} | {r['image_size']} | {r['jobs']} | {r['images_per_s']:.0f} |"
        for r in result["rows"]
    )
    views = result["settings"]["views"]
    return [
        f"Whole data sets by `kp3d render --light {light}`: shapes, {views} views each, files.\n",
        _table("| category | size [px] | processes | images/s |", rows),
    ]


_PARTS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "engine": _engine,
    "node": _node,
    "train": _train,
    "render": _render,
}
"""By kind of benchmark."""
