"""Which instance seeds belong to which split, so that no instance is in two of them.

Split k (train 0, val 1, test 2) owns two ranges of seeds:

- the default range, [k * 10^7, (k + 1) * 10^7): what a run without a seed offset uses, from its
  start: train 0.., val 10,000,000.., test 20,000,000..
- the fresh range, [(k + 1) * 10^12, (k + 2) * 10^12): a seed offset N > 0 starts at its N-th seed.
  No run without an offset ever reaches it, so data made there is new to every default model.
"""

from __future__ import annotations

SPLITS = ("train", "val", "test")
DEFAULT_SPAN = 10**7
FRESH_SPAN = 10**12


def first_seed(split: str, n_instances: int, seed_offset: int = 0) -> int:
    """Return the first of `n_instances` consecutive instance seeds.

    Args:
        split: "train", "val" or "test".
        n_instances: how many seeds are needed, at least 1.
        seed_offset: 0 for the default range, N > 0 to start at the N-th seed of the fresh range.
            Two offsets give disjoint instances if they differ by at least `n_instances`.
    """
    problems = split_problems(split, n_instances, seed_offset)
    if problems:
        raise ValueError("Seeds cannot be chosen: " + "; ".join(problems) + ".")
    k = SPLITS.index(split)
    return k * DEFAULT_SPAN if seed_offset == 0 else (k + 1) * FRESH_SPAN + seed_offset


def split_problems(split: str, n_instances: int, seed_offset: int) -> list[str]:
    """Return what is wrong with a choice of seeds, one entry per problem."""
    problems = []
    if split not in SPLITS:
        problems.append(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    if seed_offset < 0:
        problems.append(f"seed_offset must be zero or more, got {seed_offset}")
    span = FRESH_SPAN - max(seed_offset, 0) if seed_offset else DEFAULT_SPAN
    if not 1 <= n_instances <= span:
        problems.append(
            f"instances must be between 1 and {span:,} (what is left of the seed range at "
            f"seed_offset {seed_offset}), got {n_instances}"
        )
    return problems
