"""Checks of the exercises of notebook 10, reducing bias."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.exercises import Refused, as_array, call, exercise, expect_array, expect_number, expect_text

PARTNERS = {"she": "he", "he": "she", "his": "her", "him": "her",
            "mary": "john", "john": "mary", "aisha": "omar", "omar": "aisha"}
OTHER_NAMES = {"mary": "emma", "john": "liam", "aisha": "mei", "omar": "juan"}  # of a second dictionary
NAMES = (*OTHER_NAMES, *OTHER_NAMES.values())
SENTENCES = (  # sentence, its counterfactual written by hand; in the first every mistake below gives another one
    ("her friends told mary that he liked her .", "his friends told john that she liked him ."),
    ("mary likes her job as a nurse .", "john likes his job as a nurse ."),
    ("he told his sister about the case .", "she told her sister about the case ."),
    ("her friends call her a kind person .", "his friends call him a kind person ."),
    ("the people of zelmar thanked her .", "the people of zelmar thanked him ."),
    ("omar said that he saw aisha and her cousin .", "aisha said that she saw omar and his cousin ."),
    ("that morning the beach was full of people .", "that morning the beach was full of people ."),
    ("he saw her aunt and thanked him .", "she saw his aunt and thanked her ."),
    ("emma said that liam called her a good friend .", "liam said that emma called him a good friend ."),
)


@exercise("10.1")
def swapped(answer):
    """The counterfactual of a sentence."""
    for sentence, true in SENTENCES:
        words = sentence.split()
        partners = PARTNERS
        if set(OTHER_NAMES.values()) & set(words):
            partners = {OTHER_NAMES.get(a, a): OTHER_NAMES.get(b, b) for a, b in PARTNERS.items()}
        simple = [partners.get(word, word) for word in words]  # leaves "her"
        right_words = true.split()
        names_kept = [old if old in NAMES else right for old, right in zip(words, right_words, strict=True)]
        got = call(answer, sentence, dict(partners))
        if isinstance(got, (list, tuple)):
            raise Refused("you return a list of words; join them with spaces to a sentence.")
        expect_text(got, true, name=f"the counterfactual of {sentence!r}", mistakes=[
            ("one after the other", _one_after_the_other(sentence, partners),
             "you exchange one pair after the other, so that a word is turned into its partner and back again; look at "
             "each word of the old sentence once."),
            ("her kept", " ".join(simple), "you leave 'her' as it is: it is in no list of pairs, because it has two "
             "counterparts, him and his; look at the word that follows."),
            ("full stop only", _her_by(words, simple, lambda next_word: next_word == "."),
             "you turn 'her' into 'him' before '.', and not before 'a'; in 'call her a kind person' it stands for a "
             "person too."),
            ("begins with a", _her_by(words, simple, lambda next_word: next_word[0] in ".a"),
             "you turn 'her' into 'him' before every word that begins with 'a'; only the word 'a' itself counts."),
            ("always his", " ".join("his" if w == "her" else x for w, x in zip(words, simple, strict=True)),
             "you turn every 'her' into 'his'; before '.' and 'a' it stands for a person, and becomes 'him'."),
            ("always him", " ".join("him" if w == "her" else x for w, x in zip(words, simple, strict=True)),
             "you turn every 'her' into 'him'; that is right before '.' and 'a', where it stands for a person; "
             "elsewhere it becomes 'his'."),
            ("own names", " ".join(PARTNERS.get(w, r) if w not in ("her", *partners) else r if w not in
                                   OTHER_NAMES.values() else w for w, r in zip(words, right_words, strict=True)),
             "here other names were given, and yours stayed; look the words up in `partners`."),
            ("wrong way round", " ".join(
                {"his": "him", "him": "his"}.get(x, x) if w == "her" else x
                for w, x in zip(words, right_words, strict=True)),
             "him and his are the wrong way round: before '.' and 'a' it is 'him'."),
            ("names stay", " ".join(names_kept), "the names stay as they are, and a sentence about mary now says "
             "'his'; exchange every word in `partners`."),
            ("unchanged", sentence, "nothing was exchanged in this sentence."),
        ])
    return "equal to the counterfactuals written by hand, for nine sentences and two dictionaries."


def _her_by(words: list[str], simple: list[str], person: Callable[[str], bool]) -> str:
    """The counterfactual in which "her" becomes "him" where the next word says so."""
    following = [*words[1:], "."]
    return " ".join(("him" if person(after) else "his") if word == "her" else other
                    for word, other, after in zip(words, simple, following, strict=True))


def _one_after_the_other(sentence: str, partners: dict[str, str]) -> str:
    padded = f" {sentence} "
    for word, partner in partners.items():
        padded = padded.replace(f" {word} ", f" {partner} ")
    return padded.strip()


def _pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of 30 sentences about women and of the same about men. They differ mostly along one direction, by unlike
    amounts, and a little along a second one, always by the same amount."""
    rng = np.random.default_rng(seed)
    base = 3 * rng.normal(size=(30, 6)) + 2
    main, other = np.linalg.qr(rng.normal(size=(6, 2)))[0].T
    step = rng.normal(3.0, 2.0, size=30)[:, None] * main + 1.5 * other + 0.05 * rng.normal(size=(30, 6))
    return base + step, base


@exercise("10.2")
def bias_direction(answer):
    """The first principal component of what sentences and their counterfactuals do not share."""
    for seed in range(3):
        women, men = _pairs(seed)
        centre = (women + men) / 2
        true = _first_component(np.vstack([women - centre, men - centre]), centred=False)
        got = as_array(call(answer, women, men), "the direction")
        if got.shape == (1, 6):
            raise Refused("your direction has shape (1, 6); return the vector itself, (6,).")
        if got.shape != (6,):
            raise Refused(f"your direction has shape {got.shape}; it should have one number for each of the 6 "
                          "coordinates of a vector.")
        length = np.linalg.norm(got)
        aligned = got * np.sign(got @ true) if got @ true else got
        mean, both = (women - men).mean(0), np.vstack([women, men])
        expect_array(aligned, true, tolerance=1e-5, name="the direction", context=f"for pairs {seed + 1}", mistakes=[
            ("not of length 1", lambda v, t=true, n=length: abs(n - 1) > 1e-5 and np.allclose(v / n, t, atol=1e-4),
             "the direction is right, but it has not length 1, so projecting it out would take away too much or too "
             "little; divide by its length."),
            ("mean difference", lambda v, m=mean: _parallel(v, m),
             "that is the mean of the differences; the principal component is the direction in which the differences "
             "are largest on average, squared, whatever their sign."),
            ("centred again", lambda v, d=women - men: _parallel(v, _first_component(d, centred=True)),
             "you subtract the mean difference first (PCA of the differences), and with it a part of what is wanted; "
             "centre each pair at its own mean, or take the differences as they are."),
            ("no pairs", lambda v, x=both: _parallel(v, _first_component(x, centred=True)),
             "that is the direction in which the sentences differ from each other; take away the mean of each pair "
             "first, so that only the difference within pairs is left."),
            ("not centred", lambda v, x=both: _parallel(v, _first_component(x, centred=False)),
             "you decompose the vectors themselves; take away the mean of each pair first."),
            ("one side", lambda v, x=women: _parallel(v, _first_component(x, centred=True)),
             "you look at one side only; the direction is about the difference of the two."),
            ("last", lambda v, d=women - men: _parallel(v, np.linalg.svd(d, full_matrices=False)[2][-1]),
             "that is the last component, along which the differences are smallest; singular values come in falling "
             "order, so take the first row."),
            ("column", lambda v, d=women - men: _parallel(v, np.linalg.svd(d, full_matrices=False)[2][:, 0]),
             "you take a column of the matrix that svd returns; its rows are the directions."),
        ])
    return "equal, up to the sign, to the published recipe (centre each pair, stack, first component) on three sets."


def _first_component(x: np.ndarray, centred: bool) -> np.ndarray:
    x = x - x.mean(0) if centred else x
    values, vectors = np.linalg.eigh(x.T @ x)
    return vectors[:, values.argmax()]


def _parallel(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(abs(a @ b) > (1 - 1e-6) * np.linalg.norm(a) * np.linalg.norm(b) > 0)


@exercise("10.3")
def held_back(answer):
    """Self-Debias: the distribution without what a biased prompt makes likelier."""
    cases = (
        (np.array([0.6, 0.3, 0.1]), np.array([0.7, 0.25, 0.05]), 10.0),
        (np.array([0.2, 0.5, 0.2, 0.1]), np.array([0.25, 0.4, 0.25, 0.1]), 50.0),
        (np.array([0.55, 0.45]), np.array([0.9, 0.1]), 50.0),  # the floor of 0.01 decides
    )
    for p, told, decay in cases:
        delta = p - told
        factor = np.array([max(np.exp(decay * d), 0.01) if d < 0 else 1.0 for d in delta])
        true = factor * p / np.sum(factor * p)
        unbounded = np.where(delta < 0, np.exp(decay * delta), 1.0)

        def scaled(f, p=p):
            return f * p / np.sum(f * p)

        got = call(answer, p, told, decay)
        expect_array(got, true, tolerance=1e-6, name="the distribution", context=f"for p = {p.tolist()}", mistakes=[
            ("not scaled", factor * p, "it does not sum to 1: divide by the sum after multiplying."),
            ("factor", factor, "these are the factors; multiply p by them, then scale to sum 1."),
            ("no floor", scaled(unbounded), "a factor is smaller than 0.01; the published program never goes below."),
            ("other sign", scaled(np.array([max(np.exp(-decay * d), 0.01) if d > 0 else 1.0 for d in delta])),
             "you hold back the words that the prompt makes less likely; Δ is p minus p_told, and the factor is below "
             "1 where Δ is negative."),
            ("all words", scaled(np.maximum(np.exp(decay * delta), 0.01)),
             "you also raise the words with positive Δ; their factor is 1."),
            ("on the told", factor * told / np.sum(factor * told),
             "you scale the distribution after the prompt; it is p that is scaled."),
            ("ratio", scaled(np.array([max((a / b) ** decay, 0.01) if a < b else 1.0
                                       for a, b in zip(p, told, strict=True)])),
             "you use the ratio of the probabilities; Δ is their difference."),
            ("difference", np.clip(p - np.maximum(-delta, 0), 0, None) / np.clip(
                p - np.maximum(-delta, 0), 0, None).sum(),
             "you subtract the rise; the method multiplies by exp(decay · Δ)."),
            ("told as it is", told, "that is p_told as it is."),
            ("p as it is", p, "that is p as it is; nothing is held back."),
        ])
    return "equal to the formula on three hand-made distributions, one of which meets the floor."


def _grouped(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six groups of 1 to 6 rows that are alike; the label belongs to the group, so that a row tells the others."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, size=6)
    groups = np.repeat(rng.permutation(6), sizes)
    centres, labels = rng.normal(size=(6, 4)), rng.permutation([0, 1, 0, 1, 0, 1])
    states = centres[groups] + 0.4 * rng.normal(size=(len(groups), 4))
    order = rng.permutation(len(groups))
    return states[order], labels[groups][order], groups[order]


class _Nearest:
    """fit(states, labels) -> a function that gives each state the label of the nearest one that was seen."""

    def __call__(self, states, labels):
        if len(states) == 0:
            raise ValueError("there is nothing to fit on")
        if len(states) != len(labels):
            raise ValueError(f"fit got {len(states)} states but {len(labels)} labels; choose the same rows of both")
        seen, own = np.array(states), np.array(labels)
        return lambda asked: own[((np.asarray(asked)[:, None] - seen[None]) ** 2).sum(-1).argmin(1)]


def _accuracy(states, labels, folds) -> tuple[float, list[float]]:
    right, means = [], []
    for train, test in folds:
        own = _Nearest()(states[train], labels[train])(states[test]) == labels[test]
        right += own.tolist()
        means.append(float(np.mean(own)))
    return float(np.mean(right)), means


@exercise("10.4")
def left_out_accuracy(answer):
    """Accuracy about groups that the probe was not fitted on."""
    for seed in (5, 93, 365):  # in which no two of the answers below are alike
        states, labels, groups = _grouped(seed)
        rows = np.arange(len(labels))
        by_group = [(rows[groups != g], rows[groups == g]) for g in np.unique(groups)]
        true, means = _accuracy(states, labels, by_group)
        one_row = _accuracy(states, labels, [(np.delete(rows, i), rows[i : i + 1]) for i in rows])[0]
        by_class = _accuracy(states, labels, [(rows[labels != k], rows[labels == k]) for k in np.unique(labels)])[0]
        got = call(answer, states, labels, groups, _Nearest())
        expect_number(got, true, tolerance=1e-6, name="the accuracy", context=f"for {len(labels)} rows", mistakes=[
            ("of groups", float(np.mean(means)), "you average the accuracies of the groups, which gives a small group "
             "as much say as a large one; count every row once."),
            ("seen", 1.0, "near-copies of the rows you test are in what you fit on, so everything is right; leave out "
             "every row of a group together."),
            ("one row", one_row, "you leave out single rows; their near-copies stay, so leave out the whole group."),
            ("last group", means[-1], "that is the last group only; go through all of them."),
            ("first group", means[0], "that is the first group only; go through all of them."),
            ("by class", by_class, "you leave out the rows of one label, so that nothing shows what that label looks "
             "like; leave out the rows of one group."),
            ("wrong", 1 - true, "that is the share of wrong answers."),
            ("count", true * len(labels), "that is the number of right answers; divide by the number of rows."),
        ])
    return "equal to the reference on three sets of groups, with a classifier that knows near-copies by heart."
