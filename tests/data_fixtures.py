"""For the tests of data sets: synthetic files, and the real ones where they lie.

The real files are looked for in `COURSE_DATA_MIRROR` (kept by conftest.py as `COURSE_TEST_MIRROR`), else in
`../shared/real_data`; a clone without them runs the synthetic half only.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests import synthetic_data
from utils import datasets

ROOT = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("COURSE_TEST_MIRROR") or ROOT.parent / "shared" / "real_data")
needs_real = pytest.mark.skipif(not (REAL / "crows_pairs").is_dir(), reason="the real data sets are not here")


def use_synthetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a mirror of synthetic files the source of all data, with the registry's checksums set to theirs."""
    root = synthetic_data.write(tmp_path / "mirror")
    monkeypatch.setenv("COURSE_DATA_MIRROR", str(root))
    monkeypatch.setattr(datasets, "PUBLIC", registry_of(root))
    return root


def registry_of(root: Path, address: str = "https://nowhere.invalid") -> dict[str, dict]:
    """The registry with only the files under `root`, at `address`, with their own checksums."""
    registry = {}
    for name, entry in datasets.PUBLIC.items():
        files = {
            file.name: {
                "url": f"{address}/{entry['folder']}/{file.name}",
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "bytes": file.stat().st_size,
            }
            for file in sorted((root / entry["folder"]).glob("*"))
        }
        registry[name] = entry | {"files": files}
    return registry
