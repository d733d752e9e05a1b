"""Which number format is faster on this machine, found by timing a matrix product, never by a flag.

Some processors multiply bfloat16 matrices several times faster than float32, others ten times slower, and
both kinds may claim to support it. So the course measures once per process.
"""

from __future__ import annotations

import os
import platform
import time
from functools import cache
from typing import Any

import psutil
import torch
import transformers

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WORTHWHILE = 1.5  # bfloat16 must win by this much, because converting to and fro costs time as well
SHAPE = (1024, 512, 512)  # rows, inner, columns: about a batch of tokens times a layer of a small BERT
OVERRIDE = "COURSE_PRECISION"  # environment variable: "float32" or "bfloat16"


def matmul_rate(dtype: torch.dtype, shape: tuple[int, int, int] = SHAPE, seconds: float = 0.03) -> float:
    """Multiplications and additions per second of a matrix product in ``dtype``: the best of several tries."""
    rows, inner, columns = shape
    device = "cuda" if torch.cuda.is_available() else "cpu"
    left = torch.ones(rows, inner, dtype=dtype, device=device)
    right = torch.ones(inner, columns, dtype=dtype, device=device)
    best, end = float("inf"), time.perf_counter() + seconds
    for attempt in range(10_000):
        start = time.perf_counter()
        left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        if attempt:  # the first one pays for preparations
            best = min(best, time.perf_counter() - start)
        if attempt >= 2 and time.perf_counter() > end:
            break
    return 2 * rows * inner * columns / best


@cache
def measured_rates() -> dict[str, float]:
    """:func:`matmul_rate` of each precision, measured once per process."""
    return {name: matmul_rate(dtype) for name, dtype in PRECISIONS.items()}


def choose_dtype() -> torch.dtype:
    """float32, or bfloat16 where a timed matrix product in it is at least 1.5 times as fast.

    The environment variable COURSE_PRECISION decides instead when it is set. Raises ValueError when it is set
    to something else than a precision.
    """
    wanted = os.environ.get(OVERRIDE, "")
    if wanted:
        if wanted not in PRECISIONS:
            raise ValueError(f"{OVERRIDE} is {wanted!r}; set it to one of {', '.join(PRECISIONS)} or not at all.")
        return PRECISIONS[wanted]
    rates = measured_rates()
    return torch.bfloat16 if rates["bfloat16"] > WORTHWHILE * rates["float32"] else torch.float32


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def machine_facts() -> dict[str, Any]:
    """What matters for speed here: versions, cores, threads, memory in GB, matrix products in GFLOP/s."""
    rates = measured_rates()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "float32_gflops": round(rates["float32"] / 1e9, 1),
        "bfloat16_gflops": round(rates["bfloat16"] / 1e9, 1),
        "precision": name_of(choose_dtype()),
    }
