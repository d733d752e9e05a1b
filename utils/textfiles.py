"""Read a learner's own text: UTF-8, one sentence per line, a blank line between documents."""

from __future__ import annotations

import os
from collections.abc import Iterable


class CorpusError(ValueError):
    """The text cannot be used for training; the message says why and what to do."""


def read_documents(paths: Iterable[str | os.PathLike[str]]) -> list[list[str]]:
    """All documents of some text files, in order. Each is a list of sentences without surrounding blanks.

    The end of a file ends a document too. Raises CorpusError when a file is missing, unreadable, binary, not
    UTF-8, or when no file holds a sentence.
    """
    paths = [os.fspath(path) for path in paths]
    documents: list[list[str]] = []
    for path in paths:
        documents.append([])
        for line in _read_text(path).split("\n"):
            sentence = " ".join(line.split())
            if sentence:
                documents[-1].append(sentence)
            else:
                documents.append([])
    documents = [document for document in documents if document]
    if not documents:
        raise CorpusError(f"There is no text in {', '.join(paths) or 'an empty list of files'}; "
                          "write one sentence per line and a blank line between documents.")
    return documents


def _read_text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise CorpusError(f"The text file {path} cannot be read ({error.strerror}); "
                          "check its name and permissions.") from error
    if b"\x00" in content:
        raise CorpusError(f"The file {path} is binary (it holds zero bytes), not text; "
                          "save it as plain text in UTF-8.")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise CorpusError(f"The file {path} is not UTF-8 (first at line {line}); "
                          "save it again with the encoding UTF-8.") from error
