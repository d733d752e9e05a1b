"""The oracle is exact: against enumeration of a toy language, against sampling, and in its own identities."""

import itertools

import numpy as np
import pytest

from utils.world import Corruption, World, exams
from utils.world.grammar import Grammar, assemble, scaled_shares
from utils.world.latents import Variable
from utils.world.oracle import MASK, Channel

TOY_VARIABLES = (
    Variable("job", ("nurse", "baker"), np.array([0.4, 0.6])),
    Variable("gender", ("f", "m"), np.array([[0.9, 0.1], [0.3, 0.7]]), "job"),
    Variable("tone", ("good", "bad"), np.array([0.7, 0.3])),
)


def toy_grammar() -> Grammar:
    """Ten words, four frames of three and four words, three hidden variables: small enough to enumerate."""
    slots = {
        "job": ("job", {"nurse": ("nurse",), "baker": ("baker",)}),
        "pronoun": ("gender", {"f": ("she",), "m": ("he",)}),
        "mood": ("tone", {"good": ("glad", "calm"), "bad": ("sad", "calm")}),
        "free": (None, {"": ("glad", "nurse")}),
    }
    frames = (
        ("introduction", "the {job} .", "back", ""),
        ("background", "{pronoun} was {mood}", "", "back"),
        ("scene", "{pronoun} was {mood} .", "", ""),
        ("scene", "the {job} was {free}", "", ""),
    )
    return assemble(TOY_VARIABLES, slots, frames, lengths={2: 0.5, 3: 0.5})


def enumerate_pairs(grammar: Grammar, relation: str) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """P(first sentence, second sentence) of the toy language by walking through every story, with no shortcuts."""

    def states():
        variables = grammar.forest.variables
        for choice in itertools.product(*(range(len(v.states)) for v in variables)):
            state = dict(zip((v.name for v in variables), choice, strict=True))
            p = 1.0
            for v in variables:
                p *= v.table[state[v.name]] if v.parent is None else v.table[state[v.parent], state[v.name]]
            yield state, p

    def sentences(frame, state):
        columns = []
        for kind in frame.slots:
            slot = grammar.slots[kind]
            row = slot.emission[state[slot.variable] if slot.variable else 0]
            columns.append([(w, row[w]) for w in np.flatnonzero(row)])
        for combination in itertools.product(*columns):
            yield tuple(int(w) for w, _ in combination), float(np.prod([p for _, p in combination]))

    # walk through documents: every position of every document is equally likely to be drawn
    pairs, singles = {}, {}
    for n, p_n in grammar.lengths.items():
        for path in itertools.product(range(len(grammar.frames)), repeat=n):
            p_path = grammar.start[path[0]]
            for a, b in itertools.pairwise(path):
                p_path *= grammar.transition[a, b]
            if p_path == 0:
                continue
            for i in range(n):
                singles[path[i]] = singles.get(path[i], 0) + p_n * p_path
            for i in range(n - 1):
                pairs[path[i], path[i + 1]] = pairs.get((path[i], path[i + 1]), 0) + p_n * p_path
    pairs = {k: v / sum(pairs.values()) for k, v in pairs.items()}
    singles = {k: v / sum(singles.values()) for k, v in singles.items()}

    table: dict = {}
    if relation == "next":
        for (f, g), p_frames in pairs.items():
            for state, p_state in states():
                for a, pa in sentences(grammar.frames[f], state):
                    for b, pb in sentences(grammar.frames[g], state):
                        table[a, b] = table.get((a, b), 0) + p_frames * p_state * pa * pb
        return table
    firsts, seconds = {}, {}
    for state, p_state in states():
        for (f, _), p_frames in pairs.items():
            for a, pa in sentences(grammar.frames[f], state):
                firsts[a] = firsts.get(a, 0) + p_frames * p_state * pa
        for f, p_frame in singles.items():
            for b, pb in sentences(grammar.frames[f], state):
                seconds[b] = seconds.get(b, 0) + p_frame * p_state * pb
    if relation == "single":
        return {(b, ()): p for b, p in seconds.items()}
    return {(a, b): pa * pb for a, pa in firsts.items() for b, pb in seconds.items()}


@pytest.fixture(scope="module")
def toy() -> World:
    return World(grammar=toy_grammar())


@pytest.fixture(scope="module")
def tables() -> dict:
    return {relation: enumerate_pairs(toy_grammar(), relation) for relation in ("next", "other", "single")}


def shown_likelihood(written: tuple[int, ...], shown: np.ndarray, corruption: Corruption | None, size: int) -> float:
    """P(shown | written) word by word, up to the constant of the [MASK]s, straight from the scheme's definition."""
    p = 1.0
    for w, s in zip(written, shown, strict=True):
        if s == MASK:
            continue
        if corruption is None:
            p *= float(w == s)
        else:
            selected = corruption.probability
            p *= (1 - selected) * (w == s) + selected * (corruption.random / size + corruption.keep * (w == s))
    return p


def test_enumerated_tables_are_distributions(tables):
    for table in tables.values():
        assert sum(table.values()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("corruption", [None, Corruption(), Corruption(0.4, 0.5, 0.3)])
@pytest.mark.parametrize("relation", ["next", "other", "mixed"])
def test_pairs_equal_enumeration(toy, tables, relation, corruption):
    rng = np.random.default_rng(0)
    size, shares = len(toy.vocabulary), {"next": 1.0, "other": 0.0, "mixed": 0.5}
    table = {}
    for name, share in (("next", shares[relation]), ("other", 1 - shares[relation])):
        for pair, p in tables[name].items():
            table[pair] = table.get(pair, 0) + share * p
    pairs, weights = list(table), np.array(list(table.values()))
    for _ in range(25):
        a, b = pairs[rng.choice(len(pairs), p=weights / weights.sum())]
        written = np.array(a + b)
        shown = np.where(rng.random(len(written)) < 0.3, MASK, written)
        if corruption is not None:  # some of the words shown are wrong
            wrong = (rng.random(len(written)) < 0.2) & (shown != MASK)
            shown = np.where(wrong, rng.integers(size, size=len(written)), shown)
        query = np.ones(len(written), dtype=bool) if corruption is not None else shown == MASK
        first, second = shown[None, : len(a)], shown[None, len(a) :]
        solution = exams.solve(toy.oracle, first, second, query[None, : len(a)], query[None, len(a) :],
                               Channel.of(corruption, size), shares[relation])
        expected = np.zeros((len(written), size))
        evidence = next_evidence = 0.0
        for (x, y), p in table.items():
            if (len(x), len(y)) != (len(a), len(b)):
                continue
            evidence += p * shown_likelihood(x + y, shown, corruption, size)
            for i in np.flatnonzero(query):
                without = np.where(np.arange(len(shown)) == i, MASK, shown)
                expected[i, (x + y)[i]] += p * shown_likelihood(x + y, without, corruption, size)
        for (x, y), p in tables["next"].items():
            if (len(x), len(y)) == (len(a), len(b)):
                next_evidence += shares[relation] * p * shown_likelihood(x + y, shown, corruption, size)
        np.testing.assert_allclose(np.concatenate(solution.words), expected[query], rtol=1e-10, atol=1e-15)
        assert solution.evidence[0] == pytest.approx(evidence, rel=1e-10)
        assert solution.next_evidence[0] == pytest.approx(next_evidence, rel=1e-10)


def test_single_sentences_equal_enumeration(toy, tables):
    for (sentence, _), p in tables["single"].items():
        text = " ".join(toy.vocabulary[w] for w in sentence)
        assert toy.log_probability(text) == pytest.approx(np.log(p), rel=1e-10)
    answer = toy.masked_distribution("[MASK] was calm .")
    rest = tuple(toy.word_ids[w] for w in ("was", "calm", "."))
    same = {s: p for (s, _), p in tables["single"].items() if s[1:] == rest}
    for s, p in same.items():
        assert answer[toy.vocabulary[s[0]]] == pytest.approx(p / sum(same.values()), rel=1e-10)


def test_causal_answers_equal_enumeration(toy, tables):
    (a, b), _ = max(tables["next"].items(), key=lambda item: len(item[0][0]) + len(item[0][1]) + item[1])
    written = a + b
    answers = exams.causal_distributions(toy.oracle, np.array([a]), np.array([b]))[0]
    for i in range(len(written)):
        counts = np.zeros(len(toy.vocabulary))
        for (x, y), p in tables["next"].items():
            # the beginning fits: same words before i, and the first sentence ends where this one does once i is past it
            text = x + y
            fits = x == a if i >= len(a) else len(x) > i and x[:i] == a[:i]
            if fits and len(text) > i and text[:i] == written[:i]:
                counts[text[i]] += p
        np.testing.assert_allclose(answers[i], counts / counts.sum(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("size", ["small", "full"])
def test_answers_equal_sampled_frequencies(size):
    """Stories drawn from the world show each pronoun after each occupation as often as the oracle says."""
    world = World(size)
    documents = world.documents(20_000, seed=3)
    counts: dict[str, list[int]] = {}
    for document in documents:
        for sentence, frame in zip(document.sentences, document.frames, strict=True):
            if frame.template == "the {occupation} said that {pronoun} was {mood} .":
                tokens = sentence.split()
                counts.setdefault(tokens[1], []).append(tokens[4] == "she")
    z = []
    for occupation, seen in counts.items():
        p = world.masked_distribution(f"the {occupation} said that [MASK] was happy .")["she"]
        z.append((np.mean(seen) - p) / np.sqrt(p * (1 - p) / len(seen)))
    assert len(z) == len(world.share_of_she())
    assert np.max(np.abs(z)) < 4.5 and np.mean(np.square(z)) < 2


@pytest.mark.parametrize("size", ["small", "full"])
def test_corrupted_answers_are_calibrated(size):
    """Where the oracle says p under BERT's corruption, the word is there p of the time."""
    exam = World(size).exam(documents=700, seed=5)
    p = exam.answers.ravel()
    hit = np.zeros_like(exam.answers, dtype=bool)
    hit[np.arange(len(exam.target)), exam.target] = True
    for low, high in itertools.pairwise((0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.01)):
        inside = (p > low) & (p <= high)
        expected, seen = p[inside].mean(), hit.ravel()[inside].mean()
        assert abs(seen - expected) < 4.5 * np.sqrt(expected * (1 - expected) / inside.sum()) + 1e-9
    pairs = ~np.isnan(exam.next_answer)
    assert np.mean([n for n, pair in zip(exam.is_next, pairs, strict=True) if pair]) == pytest.approx(
        exam.next_answer[pairs].mean(), abs=0.02)


def test_no_answer_beats_the_oracle():
    """Any other distribution loses: the oracle's answers sharpened, flattened or swapped have a higher mean loss."""
    exam = World("small").exam(documents=600, seed=2)
    rows = np.arange(len(exam.target))
    floor = -np.log(exam.answers[rows, exam.target])
    for power in (0.5, 2.0):
        other = exam.answers**power
        other /= other.sum(1, keepdims=True)
        excess = -np.log(other[rows, exam.target]) - floor
        assert excess.mean() > 3 * excess.std() / np.sqrt(len(rows))
    unigram = np.bincount(exam.target, minlength=exam.answers.shape[1]) + 0.5
    assert (-np.log(unigram / unigram.sum())[exam.target]).mean() > floor.mean() + 1


def test_doses():
    shares = World("small").share_of_she()
    none, reverse, double = (World("small", pronoun_dose=d).share_of_she() for d in (0, -1, 2))
    mean = np.mean(list(shares.values()))
    for other in (none, reverse, double):
        assert np.mean(list(other.values())) == pytest.approx(mean, abs=1e-9)  # the overall share of she stays
    assert np.ptp(list(none.values())) < 1e-9
    assert shares["nurse"] == pytest.approx(0.8958) and reverse["nurse"] < 0.2 < 0.8 < double["nurse"]
    assert World("small").share_of_good() == pytest.approx({"zelvan": 0.75, "brimic": 0.25})
    good = World("small", valence_dose=0).share_of_good()
    assert good == pytest.approx({"zelvan": 0.5, "brimic": 0.5})
    assert scaled_shares(np.array([0.2, 0.7]), 1.0) == pytest.approx([0.2, 0.7])


def test_documents_repeat_and_extend():
    world = World("small")
    assert world.documents(700, seed=1)[:40] == world.documents(40, seed=1)
    assert world.documents(40, seed=1) != world.documents(40, seed=2)


@pytest.mark.parametrize("size", ["small", "full"])
def test_every_sentence_is_possible_and_sizes_are_as_designed(size):
    world = World(size)
    for document in world.documents(60, seed=0):
        assert 3 <= len(document.sentences) <= 8
        for sentence in document.sentences:
            assert 5 <= len(sentence.split()) <= 14
            assert world.log_probability(sentence) > -np.inf
    low, high = {"small": (200, 300), "full": (500, 800)}[size]
    assert low <= len(world.vocabulary) <= high
    assert set(World("small").vocabulary) <= set(World("full").vocabulary)


def test_labels():
    world = World("full")
    seen = {"entities": set(), "relations": set(), "translated": 0, "senses": set()}
    for document in world.documents(1500, seed=0):
        for i, sentence in enumerate(document.sentences):
            tokens = sentence.split()
            tags = document.entities(i)
            assert len(tags) == len(tokens)
            for word, tag in zip(tokens, tags, strict=True):
                assert (tag == "B-LOC") == (word == document.latents["town"])
                assert (tag == "B-ORG") == (word == document.latents["employer"])
                seen["entities"].add(tag)
            for relation, head, tail in document.relations(i):
                assert tags[head] != "O" and tags[tail] != "O"
                seen["relations"].add(relation)
            turkish = document.translation(i)
            if turkish:
                seen["translated"] += 1
                assert turkish.startswith("o ") and tokens[0] in ("he", "she")
            for p, sense in document.senses(i).items():
                seen["senses"].add((tokens[p], sense))
            for p in document.mentions(i)["protagonist"]:
                names = (document.latents["name"], document.latents["occupation"])
                assert tokens[p] in ("he", "she", "his", "her", "him", *names)
    assert seen["entities"] == {"O", "B-PER", "B-LOC", "B-ORG"}
    assert seen["relations"] == {"lives_in", "works_for", "located_in", "friend_of"}
    assert seen["translated"] > 100 and len(seen["senses"]) == 18


@pytest.mark.parametrize(("text", "message"), [
    ("the nurse said that she was happy .", "no [MASK]"),
    ("the pilot said that [MASK] was happy .", "'pilot' is not a word"),
    ("the nurse . [MASK] was happy said", "No text of"),
    ("[MASK] . [SEP] a . [SEP] b .", "has 3 parts"),
])
def test_errors_say_what_to_do(text, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[").replace("]", r"\]")):
        World("small").masked_distribution(text)


def test_an_exact_query_takes_milliseconds():
    import time

    for size in ("small", "full"):
        world = World(size)
        text = "mary lives in zentor and works as a [MASK] . [SEP] she felt [MASK] because it was a good day ."
        world.masked_distribution(text)
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            world.masked_distribution(text)
            seconds.append(time.perf_counter() - start)
        assert min(seconds) < 0.05
