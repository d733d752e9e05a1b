"""Which number format is faster on this machine, found by timing, never by a flag.

Some processors multiply bfloat16 matrices several times faster than float32, others ten times slower, and
both kinds may claim to support it. And a fast product is not a fast layer: around its products a small layer
converts numbers to and fro, and on some processors that eats the whole gain. So the course times both, once
per process: a bare product, for work that is nothing but products (Muon's step), and a layer, for a model.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import psutil
import torch
from transformers import BertConfig, BertModel

from utils.checkpoint import versions
from utils.forward import attend, layer_output

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WORTHWHILE = 1.2  # bfloat16 has fewer digits, so it must win by this much
SHAPE = (1024, 512, 512)  # rows, inner, columns: about a batch of tokens times a layer of a small BERT
OVERRIDE = "COURSE_PRECISION"  # environment variable: "float32" or "bfloat16"


def matmul_rate(dtype: torch.dtype, shape: tuple[int, int, int] = SHAPE, seconds: float = 0.03) -> float:
    """Multiplications and additions per second of a matrix product in ``dtype``: the best of several tries."""
    rows, inner, columns = shape
    device = _device()
    left = torch.ones(rows, inner, dtype=dtype, device=device)
    right = torch.ones(inner, columns, dtype=dtype, device=device)
    return 2 * rows * inner * columns / _best_seconds(lambda: left @ right, seconds)


def layer_seconds(dtype: torch.dtype, seconds: float = 0.15) -> float:
    """Forward and backward of one of the course's usual layers in ``dtype``: the best of several tries."""
    device = _device()
    with torch.random.fork_rng(devices=[]):
        layer = BertModel(BertConfig(vocab_size=8, hidden_size=128, num_hidden_layers=1, num_attention_heads=4,
                                     intermediate_size=512)).encoder.layer[0].to(device)
    batch_size, length = 64, 18
    hidden = torch.ones(batch_size * length, 128, device=device, requires_grad=True)

    def work() -> None:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            loss = layer_output(layer, hidden, attend(layer.attention.self, hidden, batch_size, None)).sum()
        loss.backward()

    return _best_seconds(work, seconds)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _best_seconds(work: Callable[[], Any], seconds: float) -> float:
    """The shortest time that ``work`` takes, tried at least twice and for about ``seconds``."""
    best, end = float("inf"), time.perf_counter() + seconds
    for attempt in range(10_000):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if attempt:  # the first one pays for preparations
            best = min(best, time.perf_counter() - start)
        if attempt >= 2 and time.perf_counter() > end:
            break
    return best


@cache
def measured_layers() -> dict[str, float]:
    """:func:`layer_seconds` of each precision, measured once per process."""
    return {name: layer_seconds(dtype) for name, dtype in PRECISIONS.items()}


@cache
def measured_rates() -> dict[str, float]:
    """:func:`matmul_rate` of each precision, measured once per process."""
    return {name: matmul_rate(dtype) for name, dtype in PRECISIONS.items()}


def choose_dtype() -> torch.dtype:
    """The precision for a model: float32, or bfloat16 where a timed layer is at least 1.2 times as fast in it.

    The environment variable COURSE_PRECISION decides instead when it is set. Raises ValueError when it is set
    to something else than a precision.
    """
    return _override() or _faster({name: 1 / seconds for name, seconds in measured_layers().items()})


def choose_product_dtype() -> torch.dtype:
    """The same for work that is nothing but matrix products, by a timed product."""
    return _override() or _faster(measured_rates())


def _override() -> torch.dtype | None:
    wanted = os.environ.get(OVERRIDE, "")
    if wanted and wanted not in PRECISIONS:
        raise ValueError(f"{OVERRIDE} is {wanted!r}; set it to one of {', '.join(PRECISIONS)} or not at all.")
    return PRECISIONS.get(wanted)


def _faster(speeds: dict[str, float]) -> torch.dtype:
    return torch.bfloat16 if speeds["bfloat16"] > WORTHWHILE * speeds["float32"] else torch.float32


def name_of(dtype: torch.dtype) -> str:
    """The name of a number format, such as "bfloat16"."""
    return str(dtype).removeprefix("torch.")


def machine_facts() -> dict[str, Any]:
    """What matters for speed here: versions, cores, threads, memory in GB, products in GFLOP/s, a layer in ms."""
    rates, layers = measured_rates(), measured_layers()
    return {
        **versions(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "float32_gflops": round(rates["float32"] / 1e9, 1),
        "bfloat16_gflops": round(rates["bfloat16"] / 1e9, 1),
        "float32_layer_ms": round(1000 * layers["float32"], 2),
        "bfloat16_layer_ms": round(1000 * layers["bfloat16"], 2),
        "precision": name_of(choose_dtype()),
    }
