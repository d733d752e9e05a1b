"""Checks of the exercises of notebook 06, classification and information extraction."""

from __future__ import annotations

import math

import numpy as np

from utils.exercises import call, exercise, expect_items, expect_number, expect_true

IGNORED = -100

WORD_IDS = [
    [None, 0, 0, 0, 1, 2, 2, None],
    [None, 0, 1, 1, 2, 3, 3, 3, 4, None, None],
]
LABELS = [[1, 2, 3], [5, 6, 0, 1, 0]]


def _aligned(word_ids, labels, mistake=""):
    """The labels of tokens, soundly or with one mistake."""
    result = []
    for place, word in enumerate(word_ids):
        first = place == 0 or word_ids[place - 1] != word
        last = place + 1 == len(word_ids) or word_ids[place + 1] != word
        if word is None:
            result.append(0 if mistake == "specials" else IGNORED)
        elif mistake == "every piece" or (last if mistake == "last piece" else first):
            result.append(labels[word])
        else:
            result.append(0 if mistake == "outside" else IGNORED)
    return result


@exercise("6.1")
def align_labels(answer):
    """One label per token: the word's at its first piece, -100 elsewhere."""
    for word_ids, labels in zip(WORD_IDS, LABELS, strict=True):
        got = call(answer, word_ids, labels)
        got = got.tolist() if hasattr(got, "tolist") else got
        expect_true(isinstance(got, list | tuple), "return a list with one label for each token.")
        expect_true(None not in got, "a label is None; special tokens get -100, which the loss leaves out.")
        got = [int(value) for value in got]
        expect_true(len(got) == len(word_ids), f"there are {len(word_ids)} tokens, special ones included, but your "
                    f"list has {len(got)} labels; give one for each token.")
        mistakes = {
            "every piece": "every piece carries the word's label, so long words count several times, and a name in "
            "three pieces seems to begin three times; label the first piece only.",
            "specials": "a special token got label 0, so [CLS] and [SEP] are scored as O; give them -100.",
            "last piece": "you label the last piece of a word; the first carries the label.",
            "outside": "later pieces got label 0, which teaches that a name's second piece is no name; give them -100.",
        }
        expect_items(got, _aligned(word_ids, labels), name="your list of labels", mistakes=[
            (name, _aligned(word_ids, labels, name), message) for name, message in mistakes.items()])
    return "first pieces labelled, other pieces and special tokens at -100, in two sentences."


TAGS = [
    ["B-PER", "I-PER", "O", "B-LOC"],
    ["O", "B-PER", "B-PER", "I-PER", "O", "B-ORG", "I-ORG"],
    ["B-PER", "I-LOC", "O", "I-ORG", "I-ORG"],
    ["O", "O"],
    ["B-PER", "O", "I-PER", "O"],
]


def _spans(tags, mistake=""):
    """(type, first, one past the last) of each entity, soundly or with one mistake."""
    found = []
    for place, tag in enumerate(tags):
        if tag == "O":
            continue
        part, kind = tag.split("-")
        next_to = bool(found) and (found[-1][2] == place or mistake == "O ignored")
        same = next_to and (found[-1][0] == kind or mistake == "type ignored")
        if same and (part == "I" or mistake == "adjacent"):
            found[-1][2] = place + 1
        elif part == "B" or mistake != "lone":
            found.append([kind, place, place + 1])
    if mistake == "end lost" and found and found[-1][2] == len(tags):
        found.pop()
    return [(kind, start, end - (mistake == "inclusive")) for kind, start, end in found]


@exercise("6.2")
def find_spans(answer):
    """The entities that BIO tags describe."""
    for tags in TAGS:
        got = call(answer, tags)
        expect_true(isinstance(got, list | tuple | set) and all(
            isinstance(s, list | tuple) and len(s) == 3 for s in got),
            "return a list of triples (type, first word, one past the last word).")
        expect_true(not any(str(kind)[:2] in ("B-", "I-") for kind, *_ in got),
                    "the type is what follows B- or I-, for instance PER.")
        got = sorted((str(kind), int(start), int(end)) for kind, start, end in got)
        mistakes = {
            "end lost": "an entity that ends with the sentence is missing; close what is open after the loop.",
            "inclusive": "your ends are the last word itself; give one past it, as in words[start:end].",
            "adjacent": "two entities side by side became one; a B- always begins a new one.",
            "type ignored": "an I- of another type was joined to the entity before it; compare the types too.",
            "O ignored": "an O closes the entity before it; an I- after an O begins a new one.",
            "lone": "an I- without a matching entity before it was dropped; the usual evaluation counts it as a "
            "beginning, because the model did claim an entity there.",
        }
        expect_items(got, sorted(_spans(tags)), name="your list of entities", mistakes=[
            (name, sorted(_spans(tags, name)), message) for name, message in mistakes.items()])
    return "equal to the reference on five sentences, with neighbours, lone I- tags and an entity at the end."


WORDS = "mary of kestrix moved to zelmar".split()
PLACES = [((0, 1), (2, 3)), ((5, 6), (0, 1)), ((2, 3), (3, 6)), ((1, 3), (0, 1))]


def _marked(words, head, tail, mistake=""):
    """The words with markers, soundly or with one mistake."""
    if mistake == "by position" and head > tail:
        head, tail = tail, head
    inserts = [(head[0], 1, "[E1]"), (head[1], 0, "[/E1]"), (tail[0], 1, "[E2]"), (tail[1], 0, "[/E2]")]
    if mistake == "same marker":
        inserts = [(place, order, text.replace("2", "1")) for place, order, text in inserts]
    if mistake == "late":
        inserts = [(min(place + (order == 0), len(words)), order, text) for place, order, text in inserts]
    if mistake == "openings only":
        inserts = [insert for insert in inserts if insert[1] == 1]
    if mistake == "opened first":
        inserts = [(place, 1 - order, text) for place, order, text in inserts]
    marked = list(words)
    # from the right, so that earlier places stay valid; at one place a closing stands before an opening
    order = sorted(inserts, reverse=mistake != "shifted")
    if mistake == "shifted":
        order = inserts
    for place, _, text in order:
        marked.insert(place, text)
    return marked


@exercise("6.3")
def mark_entities(answer):
    """Entity markers around the head and the tail of a relation."""
    for head, tail in PLACES:
        got = call(answer, WORDS, head, tail)
        expect_true(isinstance(got, list | tuple), "return a list of words, not a text.")
        got, expected = [str(word) for word in got], _marked(WORDS, head, tail)
        mistakes = {
            "by position": "the markers follow the order of the sentence; [E1] belongs to the head, also where the "
            "head stands second. Otherwise 'A works for B' and 'B works for A' look the same.",
            "shifted": "after the first insertion every later place has moved; insert from the right, or build a new "
            "list.",
            "same marker": "head and tail carry the same marker, so nobody can tell which is which.",
            "late": "a closing marker stands one word too far right; the end is one past the last word, so it goes "
            "before words[end].",
            "opened first": "where one entity ends and the other begins, a marker is opened before the other is "
            "closed; close before you open.",
            "openings only": "the closing markers are missing, so the end of a name of several words is not shown.",
        }
        if head > tail:
            expect_true(len(got) == len(expected), f"with the tail first your list has {len(got)} items instead of "
                        f"{len(expected)}; slices that assume the head stands first lose or repeat words.")
        expect_items(got, expected, name="your list of words", mistakes=[
            (name, _marked(WORDS, head, tail, name), message) for name, message in mistakes.items()])
    return "equal to the reference in four cases, with the tail first, and with two entities side by side."


def _gaps(values, strata, inside):
    """The matched difference, and what the usual mistakes give."""
    cells = [(s, values[inside & (strata == s)], values[~inside & (strata == s)]) for s in sorted(set(strata[inside]))]
    cells = [(own, other) for _, own, other in cells if len(other)]
    own_size, other_size = (np.array([len(cell[k]) for cell in cells], float) for k in (0, 1))
    difference = np.array([own.mean() - other.mean() for own, other in cells])
    return {
        "right": float(own_size @ difference / own_size.sum()),
        "raw": float(values[inside].mean() - values[~inside].mean()),
        "unweighted": float(difference.mean()),
        "others": float(other_size @ difference / other_size.sum()),
        "all": float((own_size + other_size) @ difference / (own_size + other_size).sum()),
        "left-out counted": float(own_size @ difference / inside.sum()),
        "reversed": float(-(own_size @ difference) / own_size.sum()),
    }


@exercise("6.4")
def same_length_gap(answer):
    """A group's mean minus that of others with as many pieces."""
    random = np.random.default_rng(6)
    for case in range(3):
        pieces = random.integers(2, 6, 60)
        inside = random.random(60) < np.where(pieces > 3, 0.6, 0.2)
        values = np.clip(1.1 - 0.15 * pieces + random.normal(0, 0.1, 60), 0, 1)
        if case == 2:  # a length that only the group has
            inside[pieces == 5] = True
        gaps = _gaps(values, pieces, inside)
        got = call(answer, values, pieces, inside)
        expect_number(got, gaps["right"], tolerance=1e-9, name="the gap", mistakes=[
            ("not a number", lambda value: math.isnan(value), "the gap is nan: one length occurs in one group only, "
             "and the mean of no names is nan. Leave such a length out."),
            ("raw", gaps["raw"], "this compares all names, so it counts the difference in length as well; compare "
             "within each length first."),
            ("unweighted", gaps["unweighted"], "every length counts the same, however few names it has; weight "
             "each by the group's number of names there."),
            ("others", gaps["others"], "you weight by the others' names; weight by the group's own, because the "
             "question is about them."),
            ("all", gaps["all"], "you weight by all names of a length; weight by the group's own."),
            *([("left-out counted", gaps["left-out counted"], "you divide by all names of the group, also those of a "
                "length that was left out; divide by the number of names compared.")] if case == 2 else []),
            ("reversed", gaps["reversed"], "the sign is reversed: the group's mean comes first."),
        ])
    return "equal to the reference on three sets of names, one of them with a length that cannot be compared."
