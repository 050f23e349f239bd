"""Tasks on the machines of a Dask cluster, in order, through joblib's backend for it."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import joblib

_SCHEME = "dask://"
_TIMEOUT_S = 10


def run_on_cluster(address: str, tasks: Iterable[Any]) -> Generator[Any, None, None]:
    """Yield the results of `joblib.delayed` tasks in their order.

    A task whose worker dies is run again by another one; while there is no worker, it waits.

    Args:
        address: `dask://host:port` of the scheduler.
        tasks: must give the same however often they are run.

    Raises:
        ValueError: no scheduler or no worker there, or a task that killed several workers.
    """
    with _client(address) as client:
        from distributed import KilledWorker

        try:
            wait = {"wait_for_workers_timeout": _TIMEOUT_S}
            with joblib.parallel_config("dask", client=client, **wait):
                yield from joblib.Parallel(n_jobs=-1, return_as="generator", batch_size=1)(tasks)
        except KilledWorker as error:
            raise ValueError(
                f"The cluster at {address} must be able to do every task, one of them killed "
                "several workers, perhaps for lack of memory. See the workers' logs."
            ) from error
        except TimeoutError as error:
            raise ValueError(
                f"The cluster at {address} must have workers, got none within {_TIMEOUT_S} s. "
                f"Start some: dask worker {address.replace(_SCHEME, 'tcp://')}"
            ) from error


@contextmanager
def _client(address: str) -> Generator[Any, None, None]:
    if not address.startswith(_SCHEME):
        raise ValueError(f"cluster must be dask://host:port, got {address!r}.")
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ValueError(
            "Rendering on a cluster needs Dask, which is not installed here. Install it with "
            "`pip install 'kp3d[cluster]'`."
        ) from error
    try:
        client = Client(address.replace(_SCHEME, "tcp://"), timeout=_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"A Dask scheduler was expected at {address}, got {error}. Start one: dask scheduler"
        ) from error
    with client:
        yield client
