#!/usr/bin/env bash
# What models of few meshes reach: scripts/mesh_curve.sh [FOLDER] [CATEGORY]
#
# For each number of meshes, GLB files of a built-in category are written, a model is made of them as of a
# user's own meshes (kp3d new), and it is measured on objects that no mesh shows, all on the same ones.
# Stopped anywhere, the same command goes on. Settings by environment:
#   COUNTS="5 12 30 100"   numbers of meshes; each set contains the smaller ones
#   TIME=90m               for each model, as in kp3d new --time
#   OBJECTS=20 VIEWS=50    of the test
#   KP3D=.venv/bin/kp3d    the command
set -euo pipefail
cd "$(dirname "$0")/.."
folder="${1:-runs/mesh_curve}"
category="${2:-mug}"
counts="${COUNTS:-5 12 30 100}"
kp3d="${KP3D:-.venv/bin/kp3d}"
python="$(dirname "$kp3d")/python"
mkdir -p "$folder"

"$kp3d" render --category "$category" --split test --instances "${OBJECTS:-20}" \
    --views "${VIEWS:-50}" --camera paper --output "$folder/test"
for count in $counts; do
    meshes="$folder/meshes_$count" run="$folder/run_$count" measured="$folder/measured_$count"
    if [[ ! -d "$meshes" ]]; then
        rm -rf "$meshes.partial"
        "$kp3d" export-meshes --category "$category" --instances "$count" -o "$meshes.partial"
        mv "$meshes.partial" "$meshes"
    fi
    "$kp3d" new "$category" --meshes "$meshes" --time "${TIME:-90m}" -o "$run"
    model="$run/package/$category.onnx"
    if [[ ! "$measured/metrics.json" -nt "$model" ]]; then
        "$kp3d" evaluate "$model" "$folder/test" --output "$measured"
    fi
done

# A row for each number, for docs/own_object.md.
"$python" - "$folder" $counts <<'PYTHON' | tee "$folder/curve.md"
import json
import sys
from pathlib import Path

folder, *counts = sys.argv[1:]
print("| meshes | relative rotation, median [deg] | mean | absolute, median | front and back right |")
print("|---|---|---|---|---|")
for count in counts:
    m = json.loads((Path(folder) / f"measured_{count}" / "metrics.json").read_text())
    relative, absolute = m["rotation_deg"], m["absolute_rotation_deg"]
    print(f"| {count} | {relative['median']:.1f} | {relative['mean']:.1f} | "
          f"{absolute['median']:.1f} | {m['flag_accuracy']:.1%} |")
PYTHON
