"""Write the shipped records again, `data/records/NAME.json`: `make records`, or `python -m tools.records NAME …`.

A record is a sweep: points (settings) and what was measured at each. Finished points are kept in
`build/records/` until the record is complete, so an interrupted sweep goes on where it stopped.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from utils.checkpoint import versions

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "data" / "records"

# name of the record -> "module:attribute", a Sweep; imported only when it is needed
RECORDS = {
    "compute": "tools.records_pretraining:COMPUTE",
    "choices": "tools.records_pretraining:CHOICES",
    "nsp": "tools.records_nsp:NSP",
    "translation": "tools.records_translation:TRANSLATION",
    "dialogue": "tools.records_translation:DIALOGUE",
    "finetuning": "tools.records_finetuning:WORLD",
    "finetuning-minilm": "tools.records_finetuning:MINILM",
    "mediation": "tools.records_mediation:MEDIATION",
    "attention": "tools.records_attention:ATTENTION",
    "extraction": "tools.records_extraction:EXTRACTION",
    "debias": "tools.records_debias:DEBIAS",
    "fairness": "tools.records_fairness:FAIRNESS",
    "hiring": "tools.records_fairness:HIRING",
    "doses": "tools.records_doses:DOSES_SWEEP",
    "influence": "tools.records_influence:INFLUENCE",
}


@dataclass(frozen=True)
class Sweep:
    """about: a sentence for the reader. points: the settings of each point, with its seed.

    measure(point) returns the measured values of one point; they must not depend on the other points.
    """

    about: str
    points: list[dict[str, Any]]
    measure: Callable[[dict[str, Any]], dict[str, Any]]


def find(name: str) -> Sweep:
    """The sweep behind a record. Raises ValueError for an unknown name."""
    if name not in RECORDS:
        raise ValueError(f"there is no record {name!r}; there are {', '.join(RECORDS)}.")
    module, attribute = RECORDS[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def load(name: str) -> dict[str, Any]:
    """A shipped record."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def make(name: str, most: int | None = None) -> Path | None:
    """Measure the points that are missing (at most ``most`` of them) and, when all are there, write the record."""
    sweep = find(name)
    kept = ROOT / "build" / "records" / f"{name}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()] if kept.exists() else []
    done = {key(row["point"]) for row in rows}
    missing = [point for point in sweep.points if key(point) not in done]
    for point in tqdm(missing[:most], desc=name, unit="point", leave=False, disable=None):
        start = time.process_time()
        values = sweep.measure(point)
        rows.append({"point": point, "values": values, "cpu_seconds": round(time.process_time() - start, 1)})
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    if len(missing) > len(missing[:most]):
        return None
    target = FOLDER / f"{name}.json"
    temporary = target.with_suffix(".partial")
    temporary.write_text(content(name, sweep, {key(row["point"]): row for row in rows}), encoding="utf-8")
    temporary.replace(target)
    kept.unlink()
    return target


def content(name: str, sweep: Sweep, rows: dict[str, dict[str, Any]]) -> str:
    """The record as JSON, one result to a line. Seconds are processor seconds: they do not depend on the load."""
    chosen = [rows[key(point)] for point in sweep.points]
    head = {
        "command": f"python -m tools.records {name}",
        "about": sweep.about,
        "versions": versions("numpy"),
        "machine": {"cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "seeds": sorted({point["seed"] for point in sweep.points if "seed" in point}),
        "seconds": round(sum(row["cpu_seconds"] for row in chosen), 1),
    }
    results = [{**row["point"], **row["values"], "cpu_seconds": row["cpu_seconds"]} for row in chosen]
    lines = ",\n".join("  " + json.dumps(row) for row in results)
    return json.dumps(head, indent=1)[:-2] + f',\n "results": [\n{lines}\n ]\n}}\n'


def key(point: dict[str, Any]) -> str:
    """A point as text, to find it again among the finished ones."""
    return json.dumps(point, sort_keys=True)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.records", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which records (default: all): {', '.join(RECORDS)}")
    parser.add_argument("--points", type=int, metavar="N", help="measure at most N more points of each, then stop")
    given = parser.parse_args(arguments)
    for name in given.names or RECORDS:
        try:
            written = make(name, given.points)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        print(f"{name}: {'written' if written else 'points are missing; run the command again to go on'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
