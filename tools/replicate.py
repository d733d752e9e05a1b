"""Run the notebooks under other seeds and count how often each claim holds: `make replicate SEEDS=20`.

Every run is one notebook in a fresh kernel with COURSE_SEED=k; its ledger (utils/claims.py) appends the claims
to the file that COURSE_CLAIMS names. Finished runs are kept in build/replicate/, so an interrupted replication
goes on where it stopped; they are thrown away as soon as the notebook's code, the shared module or the shipped
data and models change (unless --reuse says otherwise). The result goes to data/records/replication.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import platform
import re
import shutil
import statistics
import sys
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from tools.notebooks import ROOT, execute, find, read

RUNS = ROOT / "build" / "replicate"
RECORD = ROOT / "data" / "records" / "replication.json"
PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "scipy", "scikit-learn")


def fingerprint(path: Path, root: Path = ROOT) -> str:
    """sha256 over all that a claim of the notebook at `path` may depend on: its code, utils/ and data/."""
    digest = hashlib.sha256()
    for cell in read(path).cells:
        if cell.cell_type == "code":
            digest.update(cell.source.encode())
    files = [file for file in root.glob("data/**/*") if file.is_file() and file.name != RECORD.name]
    for file in sorted([*root.glob("utils/**/*.py"), *files]):
        digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return digest.hexdigest()


def prepare(path: Path, reuse: bool) -> Path:
    """The folder of finished runs of a notebook; emptied if they were made by other code."""
    folder = RUNS / path.stem
    note, print_of_code = folder / "fingerprint", fingerprint(path)
    if folder.exists() and not reuse and (not note.exists() or note.read_text() != print_of_code):
        print(f"{path.stem}: the code has changed since the last runs; starting again.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(print_of_code)
    return folder


def run_seed(path: Path, folder: Path, seed: int) -> str:
    """Run one notebook under one seed unless that is done; returns an error's text, or "" if all is well."""
    finished = folder / f"seed-{seed}.json"
    if finished.exists():
        return ""
    lines = folder / f"seed-{seed}.unfinished"
    lines.unlink(missing_ok=True)
    run = execute(read(path), path, {"COURSE_SEED": str(seed), "COURSE_CLAIMS": str(lines)})
    if run.error:
        return run.error
    texts = lines.read_text(encoding="utf-8").splitlines() if lines.exists() else []
    result = {"seconds": round(run.seconds, 1), "claims": [json.loads(text) for text in texts]}
    lines.write_text(json.dumps(result), encoding="utf-8")
    os.replace(lines, finished)
    return ""


def summarise(claims: list[dict]) -> dict:
    """One claim over its seeds: how often it held, mean and standard deviation (n - 1) of its value.

    `margin` is the distance from the mean to the bound in standard deviations, positive on the side where the
    claim holds; None where the bound is not one number or the value does not vary. A claim that rests on a
    shipped `record` is the same under every seed here: what counts for it are the record's own seeds.
    """
    values = [claim["value"] for claim in claims]
    mean = statistics.fmean(values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    last = claims[-1]
    return {
        "id": last["identifier"],
        "bound": last["bound"],
        "varies": last["varies"],
        "record": last.get("record"),
        "n": len(claims),
        "held": sum(bool(claim["holds"]) for claim in claims),
        "mean": mean,
        "sd": spread,
        "margin": margin(mean, spread, last["bound"]),
        "failed_seeds": [claim["seed"] for claim in claims if not claim["holds"]],
        "values": values,
    }


def margin(mean: float, spread: float, bound: str) -> float | None:
    """Standard deviations between `mean` and the nearest limit named in `bound`, positive inside."""
    numbers = [float(text) for text in re.findall(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", bound)]
    if not spread or math.isnan(spread) or "excludes" in bound or not numbers:
        return None
    if "<" in bound or "≤" in bound:
        return (numbers[0] - mean) / spread
    if ">" in bound or "≥" in bound:
        return (mean - numbers[0]) / spread
    return min(mean - numbers[0], numbers[-1] - mean) / spread if len(numbers) == 2 else None


def collect(folder: Path, seeds: list[int]) -> tuple[list[dict], float]:
    """Summaries of every claim found in the finished runs of `seeds`, and the median seconds of a run."""
    by_claim: dict[str, list[dict]] = {}
    seconds = []
    for seed in seeds:
        finished = folder / f"seed-{seed}.json"
        if finished.exists():
            result = json.loads(finished.read_text(encoding="utf-8"))
            seconds.append(result["seconds"])
            for claim in result["claims"]:
                by_claim.setdefault(claim["identifier"], []).append(claim)
    return [summarise(claims) for claims in by_claim.values()], statistics.median(seconds) if seconds else 0.0


def write_record(results: dict[str, dict], record: Path = RECORD) -> None:
    """Enter the notebooks of `results` into the record; what it says of other notebooks stays."""
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {"notebooks": {}}
    known["notebooks"].update(results)
    known["notebooks"] = dict(sorted(known["notebooks"].items()))
    record.parent.mkdir(parents=True, exist_ok=True)
    unfinished = record.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, record)


def show(results: dict[str, dict]) -> None:
    """Print the claims as a table."""
    print(f"{'claim':<32} {'holds':>7}  {'mean':>9} {'sd':>9}  {'bound':<16} {'margin':>7}  varies")
    for result in results.values():
        for claim in result["claims"]:
            inside = "" if claim["margin"] is None else f"{claim['margin']:.1f} sd"
            print(
                f"{claim['id']:<32} {claim['held']:>3}/{claim['n']:<3}  {claim['mean']:>9.4g} {claim['sd']:>9.2g}  "
                f"{claim['bound']:<16} {inside:>7}  {claim['record'] or claim['varies']}"
            )


def main() -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", nargs="?", default="", help="such as 02; all if left out")
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them; take fresh ones to confirm")
    parser.add_argument("--reuse", action="store_true", help="keep finished runs although code has changed")
    options = parser.parse_args()
    seeds = list(range(options.first, options.first + options.seeds))
    try:
        paths = find(options.notebook)
    except ValueError as problem:
        print(f"Error: {problem}", file=sys.stderr)
        return 1
    results, failed = {}, False
    for path in paths:
        folder = prepare(path, options.reuse)
        for seed in tqdm(seeds, desc=path.stem, unit="seed", leave=False, disable=None):
            if error := run_seed(path, folder, seed):
                failed = True
                print(f"{path.stem} with seed {seed} failed: {error}", file=sys.stderr)
        claims, seconds = collect(folder, seeds)
        results[path.stem[:2]] = {
            "command": f"make replicate NOTEBOOK={path.stem[:2]} SEEDS={len(seeds)} FIRST={seeds[0]}",
            "seeds": seeds,
            "seconds_per_run": seconds,
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            "fingerprint": (folder / "fingerprint").read_text(),
            "claims": claims,
        }
        write_record({path.stem[:2]: results[path.stem[:2]]})
    show(results)
    print(f"Written to {RECORD.relative_to(ROOT)}.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
