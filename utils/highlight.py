"""Attributions as coloured words, for a notebook; every word is escaped, so that no text can become part of the page.

    highlight.Highlighted(reading.words, scores, title="log-odds of positive, nats")     # last line of a cell

Orange speaks for the class, purple against it; the frame says the same without colour (solid for, dotted against), and
the number stands in each word's tooltip and in the plain text. `plots.text_heatmap` draws the same as a picture.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FOR, AGAINST = (179, 88, 6), (84, 39, 136)  # the ends of ColorBrewer's PuOr, apart for colour-blind eyes
FAINTEST = 0.15  # of the largest score: below, a word gets no frame


@dataclass(frozen=True)
class Highlighted:
    """Words with their scores, shown as HTML in a notebook and as plain text in a terminal.

    Raises ValueError where the numbers of words and scores differ, or a score is not finite.
    """

    words: Sequence[str]
    scores: Sequence[float]
    title: str = ""

    def __post_init__(self) -> None:
        if len(self.words) != len(self.scores) or not np.isfinite(np.asarray(self.scores, dtype=float)).all():
            raise ValueError(f"each word needs a finite score: {len(self.words)} words, {len(self.scores)} scores.")

    def __repr__(self) -> str:
        text = " ".join(f"{word}({score:+.1f})" for word, score in zip(self.words, self.scores, strict=True))
        return f"{self.title}: {text}" if self.title else text

    def _repr_html_(self) -> str:
        largest = max((abs(float(score)) for score in self.scores), default=0.0) or 1.0
        spans = " ".join(_span(word, float(score), float(score) / largest)
                         for word, score in zip(self.words, self.scores, strict=True))  # fmt: skip
        title = f'<div style="font-size: 85%">{html.escape(self.title)}</div>' if self.title else ""
        return f'<div style="line-height: 2; max-width: 46em; background: #ffffff; color: #000000">{title}{spans}</div>'


def _span(word: str, score: float, share: float) -> str:
    red, green, blue = FOR if share > 0 else AGAINST
    kind = "solid" if share > 0 else "dotted"
    frame = f"1px {kind} rgb({red}, {green}, {blue})" if abs(share) >= FAINTEST else "1px solid transparent"
    style = f"background: rgba({red}, {green}, {blue}, {0.6 * abs(share):.2f}); border: {frame}; padding: 1px 2px"
    return f'<span style="{style}" title="{score:+.2f}">{html.escape(word)}</span>'
