"""Read what longer experiments measured before the course was shipped: one JSON file each in `data/records/`.

    runs = records.load("nsp")          # a row for each point of the sweep: its settings and what was measured

Every file names the command that writes it again (`tools/records.py`), the versions and the seeds.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).resolve().parents[1] / "data" / "records"


def load(name: str) -> pd.DataFrame:
    """The results of a record, a row for each point. Raises ValueError for an unknown name or a damaged file."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json")))
        raise ValueError(f"There is no record {name!r} in data/records; there are {known}.")
    try:
        return pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["results"])
    except (KeyError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError(f"data/records/{name}.json is damaged; fetch it again with "
                         f"`git checkout data/records/{name}.json`.") from None
