"""Data of the course: `load(name)` gives a table, `fetch(name)` gives the folder of a public data set.

Shipped with the course (in `data/`, no network needed): `"occupations"`, `"names"`, `"weat"`, `"first-sentences"`,
`"two-senses"`, `"sentence-pairs"`, `"opinions"`, `"opinion-edits"`, `"entity-sentences"`, `"people"`, `"resumes"`,
`"postings"`, `"crows-pairs-scores"`, `"bert-mediation"`, `"bert-mediation-heads"`, `"bias-bench"`, `"glossary"`.

Public data sets, such as `"crows-pairs"`, are not part of the course: most may not be passed on, and all of them are
better read where their authors keep them. `fetch` downloads one from a pinned address (a commit, so it cannot change),
compares each file's sha256 and keeps it in a cache. `data/public_datasets.json` lists addresses, checksums, licences
and sources. Two settings in the environment:

* `COURSE_DATA_CACHE=folder`: where downloads are kept, instead of the system's cache folder.
* `COURSE_DATA_MIRROR=folder`: read from this folder and never from the network (a USB stick in a class room), laid
  out as `folder/crows_pairs/crows_pairs_anonymized.csv` and so on. Checksums are compared there too.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pooch
import requests

from utils import tables, text_tables
from utils.network import bounded

DATA = Path(__file__).resolve().parents[1] / "data"
PUBLIC: dict[str, dict] = json.loads((DATA / "public_datasets.json").read_text(encoding="utf-8"))
TIMEOUTS = (5, 30)  # seconds to connect, and between two pieces of a download


class DatasetError(RuntimeError):
    """A data set could not be read; the message says why and what to do."""


class DataNotAvailable(DatasetError):
    """The data set is neither on this machine nor reachable. A notebook skips the cell."""


class UnknownDataset(DatasetError):
    """No data set, or no split, of that name."""


class WrongChecksum(DatasetError):
    """A file is not the one that was published."""


def occupations() -> pd.DataFrame:
    """Share of women in 60 occupations in the United States. Columns: `occupation`, `percent_women`, `year`."""
    return pd.read_csv(DATA / "occupations.csv")


def names() -> pd.DataFrame:
    """Given names of many origins. Columns: `name`, `origin`, `usual_gender` ("f", "m", "u": used by both)."""
    return pd.read_csv(DATA / "names_by_origin.csv", keep_default_na=False)


def first_sentences() -> pd.DataFrame:
    """Forty sentences for a first fine-tuning run. Columns: `text`, `label` ("positive", "negative"), `split`."""
    return pd.read_csv(DATA / "first_sentences.csv", keep_default_na=False)


def two_senses() -> pd.DataFrame:
    """Sentences with words of two senses, eight for each sense. Columns: `word`, `sense`, `sentence`."""
    return pd.read_csv(DATA / "two_senses.csv", keep_default_na=False)


def sentence_pairs() -> pd.DataFrame:
    """Forty-eight paragraphs of two sentences. Columns: `id`, `topic` (eight), `first`, `second`."""
    return pd.read_csv(DATA / "sentence_pairs.csv", keep_default_na=False)


def opinions() -> pd.DataFrame:
    """1,260 short opinions in six domains. Columns: `id`, `split` ("train", "dev", "test"), `domain`, `sentiment`
    ("positive", "negative"), `phenomenon`, `second_sentiment`, `second_domain` (a blind second labelling), `text`."""
    return pd.read_csv(DATA / "opinions.csv", keep_default_na=False)


def opinion_edits() -> pd.DataFrame:
    """96 edited test texts of the opinions. Columns: `id` (of the opinion), `kind` ("turns": the verdict becomes the
    other, "keeps": it stays), `text` (edited)."""
    return pd.read_csv(DATA / "opinion_edits.csv", keep_default_na=False)


def entity_sentences() -> pd.DataFrame:
    """520 sentences with slots for people (see `utils.entities`). Columns: `id`, `split`, `text`, `relations`,
    `second_relations` (a blind second labelling)."""
    return pd.read_json(DATA / "entity_sentences.jsonl", lines=True)


def people() -> pd.DataFrame:
    """360 invented full names of twelve origins. Columns: `given`, `surname`, `origin`, `usual_gender`."""
    return pd.read_csv(DATA / "people.csv", keep_default_na=False)


def resumes() -> pd.DataFrame:
    """480 résumés with a slot `{name}` for a hiring screen. Columns: `id`, `split` ("train", "dev", "test"), `posting`,
    `suitable` (1, 0), `missing` ("1", "2" or "3": the requirement not met; "" if all are), `kind`, `text`."""
    return pd.read_csv(DATA / "resumes.csv", keep_default_na=False, dtype={"missing": str})


def postings() -> pd.DataFrame:
    """Twelve job postings with three requirements each. Columns: `posting`, `occupation` (as in `"occupations"`),
    `requirement_1`, `requirement_2`, `requirement_3`, `text`."""
    return pd.read_csv(DATA / "postings.csv", keep_default_na=False)


def bias_bench() -> pd.DataFrame:
    """Published debiasing of bert-base-uncased: `method` and scores, see the datasheet; no figure: nan."""
    return pd.read_csv(DATA / "bias_bench.csv")


def bert_mediation() -> pd.DataFrame:
    """Published mediation of gender bias in BERT. Columns: `masking`, `total`, `indirect`, `direct`, `items`."""
    return pd.read_csv(DATA / "bert_mediation.csv")


def bert_mediation_heads() -> pd.DataFrame:
    """The same by attention head, means over items. Columns: `layer`, `head` (from 1), `indirect`, `direct`."""
    return pd.read_csv(DATA / "bert_mediation_heads.csv")


def crows_pairs_scores() -> pd.DataFrame:
    """Published scores of bert-base-uncased on the 1,508 CrowS-Pairs, and each pair's known faults, no sentence.

    Columns: `row`, `score_more`, `score_less` (nats), and those of `tables.crows_pairs` without the sentences."""
    table = pd.read_csv(DATA / "crows_pairs_scores.csv", keep_default_na=False)
    flags = ["length_differs", "insertion", "end_differs", "case_differs", "duplicate"]
    return table.astype(dict.fromkeys(flags, bool))


def glossary() -> pd.DataFrame:
    """The course's words in English and Chinese. Columns: `term`, `chinese`, `meaning`, `notebook` (two digits)."""
    return pd.read_csv(DATA / "glossary.csv", keep_default_na=False, dtype=str)


def weat() -> pd.DataFrame:
    """The ten tests of Caliskan et al. 2017. Columns: `test`, `role` ("X", "Y", "A", "B"), `set`, `text`."""
    sets = pd.read_csv(DATA / "word_lists" / "caliskan_2017_sets.csv", keep_default_na=False)
    words = sets.groupby("set", sort=False)["word"].apply(list)
    rows = [
        (test["test"], role, test[role], word)
        for test in weat_published().to_dict("records")
        for role in "XYAB"
        for word in words[test[role]]
    ]
    return pd.DataFrame(rows, columns=["test", "role", "set", "text"])


def weat_published() -> pd.DataFrame:
    """Published effect sizes. Columns: `test`, `description`, `X`, `Y`, `A`, `B`, `glove_d`, `word2vec_d`."""
    return pd.read_csv(DATA / "word_lists" / "caliskan_2017_tests.csv")


SHIPPED: dict[str, Callable[[], pd.DataFrame]] = {
    "occupations": occupations,
    "names": names,
    "weat": weat,
    "weat-published": weat_published,
    "first-sentences": first_sentences,
    "two-senses": two_senses,
    "sentence-pairs": sentence_pairs,
    "opinions": opinions,
    "opinion-edits": opinion_edits,
    "entity-sentences": entity_sentences,
    "people": people,
    "resumes": resumes,
    "postings": postings,
    "crows-pairs-scores": crows_pairs_scores,
    "bert-mediation": bert_mediation,
    "bert-mediation-heads": bert_mediation_heads,
    "bias-bench": bias_bench,
    "glossary": glossary,
}
READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "crows-pairs": tables.crows_pairs,
    "crows-pairs-bert-scores": tables.crows_pairs_bert_scores,
    "stereoset": tables.stereoset,
    "stereoset-dev": tables.stereoset_dev,
    "stereoset-subset": tables.stereoset_subset,
    "winobias": tables.winobias,
    "seat": tables.association_tests,
    "seat-religion": tables.association_tests,
    "weat-wefe": tables.weat_wefe,
    "professions": tables.professions,
    "winogender-occupations": tables.winogender_occupations,
    "sst2": text_tables.sst2,
    "sst2-glue": text_tables.sst2_glue,
    "cola": text_tables.cola,
    "ud-ewt": text_tables.ud_ewt,
    "wikitext2": text_tables.wikitext2,
}


def load(name: str, split: str | None = None) -> pd.DataFrame:
    """Return a data set as a table; the columns are described in the docstring of its reader (`READERS`, `SHIPPED`).

    Args:
        name: one of `catalogue()["name"]`.
        split: only the rows of this split, for tables that have a column `split`.

    Raises:
        DataNotAvailable: no network and not in the cache, or no space (answered within about 10 seconds).
        UnknownDataset: no such name or split, with those that exist.
        WrongChecksum: a file is not the published one.

    >>> load("occupations").columns.tolist()
    ['occupation', 'percent_women', 'year']
    """
    if name in SHIPPED:
        table = SHIPPED[name]()
    else:
        folder = fetch(name)
        if name not in READERS:
            raise DatasetError(f"{name!r} is not a table: open the files in datasets.fetch({name!r}) yourself.")
        table = READERS[name](folder)
    if split is None:
        return table
    found = list(table["split"].unique()) if "split" in table else []
    if split not in found:
        choice = f"choose one of {', '.join(found)}" if found else "it has only one part, so leave split out"
        raise UnknownDataset(f"{name!r} has no split {split!r}: {choice}.")
    return table[table["split"] == split].reset_index(drop=True)


def load_or_none(name: str, split: str | None = None) -> pd.DataFrame | None:
    """Like `load`, but where the data cannot be had, print the reason in one sentence and return None."""
    try:
        return load(name, split)
    except DataNotAvailable as reason:
        print(f"Skipped: {reason}")
        return None


def fetch(name: str) -> Path:
    """Return the folder that holds a public data set's files, downloaded once and compared with their sha256.

    Raises:
        DataNotAvailable, UnknownDataset, WrongChecksum: see `load`. Nothing half-written is left behind.
    """
    entry = _entry(name)
    mirror = os.environ.get("COURSE_DATA_MIRROR")
    if mirror:
        folder = Path(mirror).expanduser() / entry["folder"]
        for file, facts in entry["files"].items():
            _check_mirrored(name, folder / file, facts["sha256"])
        return folder
    folder = cache_folder() / entry["folder"]
    missing = [file for file, facts in entry["files"].items() if not _is_published(folder / file, facts["sha256"])]
    if missing:
        _download(name, entry, missing, folder)
    return folder


def available(name: str) -> bool:
    """Say whether `load(name)` would work without the network."""
    if name in SHIPPED:
        return True
    entry = _entry(name)
    mirror = os.environ.get("COURSE_DATA_MIRROR")
    folder = (Path(mirror).expanduser() if mirror else cache_folder()) / entry["folder"]
    return all(_is_published(folder / file, facts["sha256"]) for file, facts in entry["files"].items())


def catalogue() -> pd.DataFrame:
    """Return a table of all data sets. Columns: `name`, `where`, `what`, `licence`, `source`, `megabytes`."""
    rows = [
        (name, "shipped", (read.__doc__ or "").split(" Columns:")[0], "", "", 0.0) for name, read in SHIPPED.items()
    ]
    for name, entry in PUBLIC.items():
        size = sum(facts["bytes"] for facts in entry["files"].values()) / 1e6
        rows.append((name, "public", entry["title"], entry["licence"], entry["source"], round(size, 2)))
    return pd.DataFrame(rows, columns=["name", "where", "what", "licence", "source", "megabytes"])


def cache_folder() -> Path:
    """Return the folder in which downloads are kept."""
    own = os.environ.get("COURSE_DATA_CACHE")
    return Path(own).expanduser() if own else Path(pooch.os_cache("pretrained-language-models-course"))


def _entry(name: str) -> dict:
    if name in PUBLIC:
        return PUBLIC[name]
    if name in SHIPPED:
        raise UnknownDataset(f"{name!r} is shipped with the course and not fetched: use datasets.load({name!r}).")
    every = [*SHIPPED, *PUBLIC]
    close = difflib.get_close_matches(str(name).lower().replace("_", "-"), every, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"choose one of {', '.join(every)}."
    raise UnknownDataset(f"no data set is called {name!r}: {hint}")


def _sha256(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_published(file: Path, sha256: str) -> bool:
    return file.is_file() and _sha256(file) == sha256


def _check_mirrored(name: str, file: Path, sha256: str) -> None:
    place = f"COURSE_DATA_MIRROR (looked for {file.parent.name}/{file.name})"
    if not file.is_file():
        raise DataNotAvailable(
            f"{name!r} is not in {place}: copy it there, or unset COURSE_DATA_MIRROR to download it."
        )
    if _sha256(file) != sha256:
        raise WrongChecksum(
            f"{file.parent.name}/{file.name} in COURSE_DATA_MIRROR has the sha256 {_sha256(file)[:12]}… but "
            f"{sha256[:12]}… was published: copy it again, or unset COURSE_DATA_MIRROR to download it."
        )


def _download(name: str, entry: dict, files: list[str], folder: Path) -> None:
    """Download files one by one; each appears in the folder only when it is complete and its checksum is right."""
    urls = {file: entry["files"][file]["url"] for file in files}
    size = sum(entry["files"][file]["bytes"] for file in files) / 1e6
    advice = "connect to the internet and run this again, or set COURSE_DATA_MIRROR to a folder that has it"
    try:
        bounded(lambda: requests.head(next(iter(urls.values())), timeout=TIMEOUTS[0]))
    except Exception:  # whatever goes wrong here means that there is no network
        raise DataNotAvailable(f"{name!r} is not on this machine and its address does not answer: {advice}.") from None
    print(f"Downloading {name} once ({len(urls)} {'file' if len(urls) == 1 else 'files'}, {size:.1f} MB).")
    logging.getLogger("pooch").setLevel(logging.ERROR)
    fetcher = pooch.HTTPDownloader(progressbar=False, timeout=TIMEOUTS)
    for file, url in urls.items():
        try:
            pooch.retrieve(url, f"sha256:{entry['files'][file]['sha256']}", file, folder, downloader=fetcher)
        except ValueError:
            raise WrongChecksum(
                f"{file} of {name!r} came with another sha256 than the published one and was thrown away: run this "
                "again, and if it happens again, use COURSE_DATA_MIRROR and report it."
            ) from None
        except requests.RequestException as problem:
            reason = f"its download broke off ({type(problem).__name__})"
            raise DataNotAvailable(f"{name!r} is not on this machine and {reason}: {advice}.") from None
        except OSError as problem:
            raise DataNotAvailable(_disk_trouble(name, size, problem)) from None


def _disk_trouble(name: str, size: float, problem: OSError) -> str:
    if problem.errno == errno.ENOSPC:
        return f"{name!r} could not be saved because the disk is full: make room for {size:.1f} MB and run this again."
    return (
        f"{name!r} could not be saved ({problem.strerror or type(problem).__name__}): set COURSE_DATA_CACHE to a "
        "folder that you can write to."
    )
