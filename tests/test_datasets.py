"""`utils.datasets`: the registry, downloads, checksums, mirrors, and the shipped tables.

The readers are tested in `test_dataset_tables.py`.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from pathlib import Path

import pandas as pd
import pytest

from tests import servers, synthetic_data
from tests.data_fixtures import REAL, needs_real, registry_of, use_synthetic
from utils import datasets, network


@pytest.fixture
def synthetic(tmp_path, monkeypatch) -> Path:
    return use_synthetic(tmp_path, monkeypatch)


@pytest.fixture
def real(monkeypatch) -> None:
    monkeypatch.setenv("COURSE_DATA_MIRROR", str(REAL))


@pytest.fixture
def web(tmp_path, monkeypatch):
    """Return a function that serves the synthetic files and points the registry at them; the cache is empty."""
    monkeypatch.delenv("COURSE_DATA_MIRROR", raising=False)
    monkeypatch.setenv("COURSE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    root = synthetic_data.write(tmp_path / "origin")
    contents = {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}

    def start(log: list[str], **options):
        server = servers.files(contents, log, **options)
        address = server.__enter__()
        running.append(server)
        monkeypatch.setattr(datasets, "PUBLIC", registry_of(root, address))
        return contents

    running: list = []
    yield start
    for server in running:
        server.__exit__(None, None, None)


def files_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


# --- the registry --------------------------------------------------------------------------------------------------


def test_every_public_file_is_pinned():
    assert set(datasets.READERS) | {"causal-mediation-bert"} == set(datasets.PUBLIC)
    for name, entry in datasets.PUBLIC.items():
        assert entry["licence"] and entry["source"] and entry["title"] and entry["files"], name
        for facts in entry["files"].values():
            assert re.match(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/", facts["url"])
            assert re.fullmatch(r"[0-9a-f]{64}", facts["sha256"])


@needs_real
def test_registry_agrees_with_the_manifest_of_the_real_files():
    if not (REAL / "manifest.json").is_file():
        pytest.skip("this mirror has no manifest")
    manifest = {(each["folder"], each["file"]): each for each in json.loads((REAL / "manifest.json").read_text())}
    for name, entry in datasets.PUBLIC.items():
        if name == "stereoset-dev":
            continue
        for file, facts in entry["files"].items():
            stated = manifest[entry["folder"], file]
            assert {key: stated[key] for key in ("url", "sha256", "bytes")} == facts


def test_catalogue_lists_everything():
    table = datasets.catalogue()
    assert list(table["name"]) == [*datasets.SHIPPED, *datasets.PUBLIC]
    assert table["what"].str.len().min() > 10


# --- fetching ------------------------------------------------------------------------------------------------------


def test_fetch_downloads_once(web, capfd):
    log: list[str] = []
    web(log)
    assert not datasets.available("seat")
    folder = datasets.fetch("seat")
    assert files_in(folder) == ["sent-weat1.jsonl", "weat1.jsonl"]
    assert capfd.readouterr() == ("Downloading seat once (2 files, 0.0 MB).\n", "")
    requests = len(log)
    assert datasets.available("seat") and datasets.fetch("seat") == folder
    assert len(datasets.load("seat")) == 16
    assert len(log) == requests and capfd.readouterr() == ("", "")


def test_damaged_copy_in_the_cache_is_replaced(web):
    log: list[str] = []
    contents = web(log)
    file = datasets.fetch("crows-pairs") / "crows_pairs_anonymized.csv"
    file.write_text("half")
    assert not datasets.available("crows-pairs")
    datasets.fetch("crows-pairs")
    assert file.read_bytes() == contents["crows_pairs/crows_pairs_anonymized.csv"]


def test_wrong_checksum_leaves_nothing_behind(web):
    log: list[str] = []
    contents = web(log)
    contents["crows_pairs/crows_pairs_anonymized.csv"] += b"one more line\n"
    with pytest.raises(datasets.WrongChecksum, match="crows_pairs_anonymized.csv of 'crows-pairs' came with another"):
        datasets.fetch("crows-pairs")
    assert files_in(datasets.cache_folder()) == []


def test_download_cut_off_in_the_middle(web):
    web([], cut=True)
    with pytest.raises(datasets.DataNotAvailable, match="broke off .*COURSE_DATA_MIRROR"):
        datasets.fetch("crows-pairs")
    assert files_in(datasets.cache_folder()) == []


def test_address_without_the_file(web):
    contents = web([])
    contents.clear()
    with pytest.raises(datasets.DataNotAvailable, match="broke off"):
        datasets.fetch("crows-pairs")
    assert files_in(datasets.cache_folder()) == []


def test_no_network(web, monkeypatch, capsys):
    web([])
    monkeypatch.setattr(datasets, "PUBLIC", registry_of(Path("/nonexistent")))
    for entry in datasets.PUBLIC.values():
        entry["files"] = {"file": {"url": "http://127.0.0.1:9/file", "sha256": "0" * 64, "bytes": 1}}
    started = time.monotonic()
    with pytest.raises(datasets.DataNotAvailable, match="^'sst2' is not on this machine .* connect to the internet"):
        datasets.load("sst2")
    assert datasets.load_or_none("winobias") is None
    assert time.monotonic() - started < 10
    assert capsys.readouterr().out.startswith("Skipped: 'winobias' is not on this machine")


def test_a_network_that_swallows_everything(web, monkeypatch):
    web([])
    monkeypatch.setattr(datasets, "bounded", lambda question: network.bounded(question, seconds=1))
    with servers.silent() as address:
        for entry in datasets.PUBLIC.values():
            entry["files"] = {"file": {"url": f"{address}/file", "sha256": "0" * 64, "bytes": 1}}
        started = time.monotonic()
        with pytest.raises(datasets.DataNotAvailable, match="does not answer"):
            datasets.fetch("sst2")
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "the disk is full: make room for 0.0 MB"), (errno.EACCES, "Permission denied.*COURSE_DATA_CACHE")],
)
def test_disk_trouble(web, monkeypatch, number, message):
    web([])

    def fail(self, url, output, *_):
        Path(output).write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", fail)
    with pytest.raises(datasets.DataNotAvailable, match=message):
        datasets.fetch("crows-pairs")
    assert files_in(datasets.cache_folder()) == []


def test_mirror_is_checked_too(synthetic, monkeypatch):
    assert datasets.fetch("crows-pairs") == synthetic / "crows_pairs"
    assert datasets.available("crows-pairs")
    file = synthetic / "crows_pairs" / "crows_pairs_anonymized.csv"
    file.write_text("changed")
    with pytest.raises(datasets.WrongChecksum, match="crows_pairs/crows_pairs_anonymized.csv in COURSE_DATA_MIRROR"):
        datasets.load("crows-pairs")
    assert file.read_text() == "changed", "a mirror is the learner's: nothing in it is deleted"
    file.unlink()
    with pytest.raises(datasets.DataNotAvailable, match=r"not in COURSE_DATA_MIRROR \(looked for crows_pairs/"):
        datasets.load("crows-pairs")
    assert not datasets.available("crows-pairs")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("crows_pairs", "crows-pairs"), ("sterioset", "stereoset"), ("sst-2", "sst2"), ("name", "names")],
)
def test_unknown_name_suggests_the_closest(name, meant):
    with pytest.raises(datasets.UnknownDataset, match=f"did you mean .*'{meant}'"):
        datasets.load(name)


def test_other_wrong_questions(synthetic):
    with pytest.raises(datasets.UnknownDataset, match="choose one of occupations"):
        datasets.load("zzzz")
    with pytest.raises(datasets.UnknownDataset, match="has no split 'validation': choose one of train, dev"):
        datasets.load("sst2", split="validation")
    with pytest.raises(datasets.UnknownDataset, match="has only one part"):
        datasets.load("crows-pairs", split="dev")
    with pytest.raises(datasets.UnknownDataset, match="shipped with the course and not fetched"):
        datasets.fetch("names")
    with pytest.raises(datasets.DatasetError, match="is not a table"):
        datasets.load("causal-mediation-bert")


# --- shipped data --------------------------------------------------------------------------------------------------


def test_occupations():
    table = datasets.load("occupations")
    assert list(table.columns) == ["occupation", "percent_women", "year"] and len(table) == 60
    assert table["occupation"].is_unique and table["percent_women"].between(0, 100).all()
    assert set(table["year"]) == {2015, 2016}
    nurse = table.set_index("occupation").loc["nurse"]
    assert (nurse["percent_women"], nurse["year"]) == (89.58, 2015)


@needs_real
def test_occupations_equal_their_source(real):
    source = datasets.load("winogender-occupations").sort_values("occupation", ignore_index=True)
    shipped = datasets.load("occupations")
    assert list(shipped["occupation"]) == list(source["occupation"])
    assert list(shipped["percent_women"]) == list(source["bls_pct_female"])
    assert list(shipped["year"]) == list(source["bls_year"])


def test_names():
    table = datasets.load("names")
    assert list(table.columns) == ["name", "origin", "usual_gender"]
    assert table["origin"].nunique() == 18 and table["name"].is_unique
    counts = table.groupby(["origin", "usual_gender"]).size().unstack(fill_value=0)
    assert set(counts.columns) == {"f", "m", "u"}
    assert (counts["f"] == 18).all() and (counts["m"] == 18).all() and (counts["u"] <= 6).all()
    assert table["name"].str.fullmatch(r"[A-Z][a-z]+").all()
    sheet = (datasets.DATA / "names_by_origin.DATASHEET.md").read_text(encoding="utf-8")
    assert f"{len(table)} given names of {table['origin'].nunique()} origins" in sheet


def test_weat_lists():
    table, published = datasets.load("weat"), datasets.load("weat-published")
    sizes = table.groupby(["test", "role"]).size().unstack()
    assert len(sizes) == 10 and (sizes["X"] == sizes["Y"]).all() and (sizes["A"] == sizes["B"]).all()
    assert sizes["X"].to_dict() == {
        "weat1": 25, "weat2": 25, "weat3": 32, "weat4": 16, "weat5": 16,
        "weat6": 8, "weat7": 8, "weat8": 8, "weat9": 6, "weat10": 8,
    }  # fmt: skip
    assert not table.duplicated(["test", "role", "text"]).any()
    assert published.set_index("test").loc["weat6", "glove_d"] == 1.81
    assert list(table["test"].unique()) == list(published["test"])


@needs_real
def test_weat_lists_agree_with_two_copies(real):
    def words(table: pd.DataFrame, test: str, role: str) -> set[str]:
        return set(table.loc[(table["test"] == test) & (table["role"] == role), "text"].str.lower())

    shipped, seat = datasets.load("weat"), datasets.load("seat")
    for test in shipped["test"].unique():
        for role in "XYAB":
            assert words(shipped, test, role) == words(seat, test, role), (test, role)
    copy = set(datasets.load("weat-wefe")["word"])
    assert set(shipped["text"]) - copy == {"short-term", "Billy"}
    assert copy - set(shipped["text"]) == {"short", "Jay", "Kristen", "Tremayne", "Latonya"}


def test_every_shipped_table_has_a_datasheet():
    for file in datasets.DATA.rglob("*.csv"):
        sheets = [sheet.stem.removesuffix(".DATASHEET") for sheet in file.parent.glob("*.DATASHEET.md")]
        assert any(file.stem.startswith(sheet) for sheet in sheets), f"{file.name} has no datasheet"
