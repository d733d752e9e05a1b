"""Plain English sentences about a person, each once with a man and once with a woman: what projections are fitted to.

    table = sentences()      # columns pair, setting, man, woman: 16 pairs of nouns in 12 settings

Written for this course. The nouns differ in gender and in nothing else that matters here; no stereotype is meant.
Binary, like the methods (Bolukbasi et al. 2016; Liang et al. 2020) that ask for such pairs.
"""

from __future__ import annotations

import pandas as pd

PAIRS = (
    ("father", "mother"), ("son", "daughter"), ("brother", "sister"), ("husband", "wife"), ("uncle", "aunt"),
    ("grandfather", "grandmother"), ("nephew", "niece"), ("grandson", "granddaughter"), ("boyfriend", "girlfriend"),
    ("king", "queen"), ("prince", "princess"), ("waiter", "waitress"), ("actor", "actress"), ("host", "hostess"),
    ("landlord", "landlady"), ("policeman", "policewoman"),
)  # fmt: skip
SETTINGS = (
    "The {} sat at the window and read.", "We met the {} at the station.", "The {} had forgotten the keys again.",
    "Nobody had told the {} about the meeting.", "The {} laughed and closed the door.", "This letter is for the {}.",
    "The {} was late this morning.", "They asked the {} to stay for dinner.", "The {} knows the way to the lake.",
    "A photograph of the {} hung on the wall.", "The {} walked home in the rain.",
    "Yesterday the {} bought a new coat.",
)


def sentences() -> pd.DataFrame:
    """Every pair in every setting: `pair` and `setting` (numbers), `man`, `woman` (the two sentences)."""
    rows = [(p, s, setting.format(man), setting.format(woman))
            for p, (man, woman) in enumerate(PAIRS) for s, setting in enumerate(SETTINGS)]
    return pd.DataFrame(rows, columns=["pair", "setting", "man", "woman"])
