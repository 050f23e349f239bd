#!/usr/bin/env bash
# Readers of strangers' files against many damaged files: scripts/fuzz.sh 10000
set -euo pipefail
cd "$(dirname "$0")/.."
KP3D_FUZZ_CASES="${1:-10000}" exec .venv/bin/python -m pytest -q -p no:cacheprovider -o timeout=0 \
    test/core/objects/meshes/test_hostile_files.py \
    test/core/data/test_hostile_shards.py \
    test/core/recipe/test_hostile_yaml.py \
    test/core/training/test_hostile_checkpoints.py \
    test/core/data/test_authors_records.py::test_damaged_records_are_refused_in_words
