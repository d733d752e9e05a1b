"""The floor over pieces is exact: against enumeration of a toy language, the word-level oracle, and frequencies."""

import itertools
from functools import cache

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForPreTraining, BertTokenizer

from tests.test_world import TOY_VARIABLES, enumerate_pairs
from utils import evaluate
from utils.corpus import SPECIAL_TOKENS, build_tokenizer, train_wordpiece
from utils.world import Corruption, World
from utils.world.grammar import Grammar, assemble
from utils.world.oracle import MASK
from utils.world.pieces import PieceExam, PieceOracle, piece_exam

TOY_PIECES = ("the", "he", "##r", "was", ".", "s", "##ad", "gl", "ca", "##lm", "fine", "nu", "##rse", "baker")
P = 0.6  # masking probability of the toy tests: high, so that different readings often fit


def toy_grammar() -> Grammar:
    """A language whose pieces deceive: "he" is a word and the beginning of "her"; "sad" and "glad" end alike;
    five pieces may be three words ("he ##r was s ##ad") or four ("he was s ##ad .")."""
    slots = {
        "job": ("job", {"nurse": ("nurse",), "baker": ("baker",)}),
        "pronoun": ("gender", {"f": ("her",), "m": ("he",)}),
        "mood": ("tone", {"good": ("glad", "calm", "fine"), "bad": ("sad", "calm")}),
        "free": (None, {"": ("glad", "nurse")}),
    }
    frames = (
        ("introduction", "the {job} .", "back", ""),
        ("background", "{pronoun} was {mood}", "", "back"),
        ("scene", "{pronoun} was {mood} .", "", ""),
        ("scene", "{pronoun} {mood} .", "", ""),
        ("scene", "{mood} was {pronoun} {mood}", "", ""),
        ("scene", "the {job} was {free}", "", ""),
    )
    return assemble(TOY_VARIABLES, slots, frames, lengths={2: 0.5, 3: 0.5})


def toy_tokenizer() -> BertTokenizer:
    return BertTokenizer(vocab={token: i for i, token in enumerate([*SPECIAL_TOKENS, *TOY_PIECES])})


@cache
def small() -> tuple[World, BertTokenizer]:
    world = World("small")
    return world, train_wordpiece([s for d in world.documents(300, seed=0) for s in d.sentences], vocab_size=160)


@cache
def small_exam(whole_word: bool) -> PieceExam:
    return piece_exam(*small(), documents=100, seed=1, whole_word=whole_word)


@cache
def toy_table(relation: str) -> dict[tuple[tuple[tuple[int, ...], ...], ...], float]:
    """P(text) by enumeration; a text is a tuple of sentences, a sentence a tuple of words, a word a tuple of pieces."""
    grammar, tokenizer = toy_grammar(), toy_tokenizer()
    spelled = [tuple(tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word))) for word in grammar.vocabulary]
    table: dict = {}
    for pair, p in enumerate_pairs(grammar, relation).items():
        text = tuple(tuple(spelled[w] for w in sentence) for sentence in pair if sentence)
        table[text] = table.get(text, 0) + p
    return table


def flat(text) -> list[np.ndarray]:
    """A text's pieces, sentence by sentence."""
    return [np.array([piece for word in sentence for piece in word]) for sentence in text]


def mask_probability(text, hidden: list[np.ndarray], whole_word: bool) -> float:
    """P(exactly these pieces are hidden | text), from the definition of the two maskings."""
    result = 1.0
    for sentence, where in zip(text, hidden, strict=True):
        place = 0
        for word in sentence:
            units = [where[place : place + len(word)]] if whole_word else where[place : place + len(word), None]
            place += len(word)
            for unit in units:
                result *= P if unit.all() else (1 - P if not unit.any() else 0.0)
    return result


def draw_mask(text, whole_word: bool, rng: np.random.Generator) -> list[np.ndarray]:
    draws = []
    for sentence in text:
        one_by_one = [rng.random(1 if whole_word else len(word)) < P for word in sentence]
        draws.append(np.concatenate([np.broadcast_to(u, len(w)) for u, w in zip(one_by_one, sentence, strict=True)]))
    return draws


def enumerated(table: dict, shown: list[np.ndarray], hidden: list[np.ndarray], whole_word: bool, size: int):
    """P(piece, shown, the places of the masks) for every hidden piece, (hidden, size); P(shown, their places)."""
    total, evidence = np.zeros((sum(int(h.sum()) for h in hidden), size)), 0.0
    for text, p in table.items():
        pieces = flat(text)
        if [len(s) for s in pieces] != [len(s) for s in shown]:
            continue
        if all(((s == w) | h).all() for s, w, h in zip(shown, pieces, hidden, strict=True)):
            p = p * mask_probability(text, hidden, whole_word)
            evidence += p
            asked = np.concatenate([w[h] for w, h in zip(pieces, hidden, strict=True)])
            total[np.arange(len(asked)), asked] += p
    return total, evidence


@pytest.mark.parametrize("whole_word", [False, True])
@pytest.mark.parametrize("relation", ["single", "next", "other", "mixed"])
def test_answers_equal_enumeration(relation, whole_word):
    world, tokenizer, rng = World(grammar=toy_grammar()), toy_tokenizer(), np.random.default_rng(0)
    oracle = PieceOracle(world, tokenizer, whole_word=P if whole_word else None)
    share = {"next": 1.0, "other": 0.0, "mixed": 0.5, "single": 0.5}[relation]
    tables = {name: toy_table(name) for name in ("next", "other", "single")}
    if relation != "mixed":
        table = tables[relation]
    else:
        texts = tables["next"].keys() | tables["other"].keys()
        table = {text: sum(tables[name].get(text, 0) / 2 for name in ("next", "other")) for text in texts}
    texts, weights = zip(*sorted(table.items()), strict=True)
    ambiguous = 0
    for _ in range(40):
        text = texts[rng.choice(len(texts), p=np.array(weights) / sum(weights))]
        hidden = draw_mask(text, whole_word, rng)
        shown = [np.where(h, MASK, w) for h, w in zip(hidden, flat(text), strict=True)]
        expected, evidence = enumerated(table, shown, hidden, whole_word, len(tokenizer))
        answers, is_next = oracle.answers(tuple(shown), next_share=share)
        np.testing.assert_allclose(answers, expected / evidence, rtol=1e-10, atol=1e-14)
        if relation == "mixed":
            _, next_evidence = enumerated(tables["next"], shown, hidden, whole_word, len(tokenizer))
            assert is_next == pytest.approx(next_evidence / 2 / evidence, rel=1e-10)
        ambiguous += any(len({len(fits) for _, fits in oracle.readings(s)}) > 1 for s in shown)
    assert ambiguous >= 4  # sentences of different word counts did fit the same pieces


@pytest.mark.parametrize("whole_word", [False, True])
@pytest.mark.parametrize(("text", "counts"), [
    ("[MASK] [MASK] [MASK] [MASK] [MASK]", {3, 4}),
    ("he [MASK] ca ##lm .", {3, 4}),  # "her calm ." has its ##r hidden alone, so not under whole-word masking
    ("[MASK] [MASK] [MASK] s ##ad", {3, 4}),
])
def test_readings_of_different_word_counts_are_weighed(text, counts, whole_word):
    tokenizer = toy_tokenizer()
    oracle = PieceOracle(World(grammar=toy_grammar()), tokenizer, whole_word=P if whole_word else None)
    hidden = [np.array([piece == "[MASK]" for piece in text.split()])]
    shown = [np.where(hidden[0], MASK, tokenizer.convert_tokens_to_ids(text.split()))]
    expected, evidence = enumerated(toy_table("single"), shown, hidden, whole_word, len(tokenizer))
    answers, _ = oracle.answers(tuple(shown))
    np.testing.assert_allclose(answers, expected / evidence, rtol=1e-10, atol=1e-14)
    given_by_masking = whole_word and text.startswith("he ")
    assert {len(fits) for _, fits in oracle.readings(shown[0])} == ({4} if given_by_masking else counts)


@pytest.mark.parametrize("whole_word", [False, True])
def test_whole_words_give_the_word_oracles_answers(whole_word):
    world = World("small")
    exam = world.exam(documents=40, seed=4, corruption=Corruption(0.15, mask=1.0, random=0.0))
    oracle = PieceOracle(world, build_tokenizer(world.vocabulary), whole_word=0.15 if whole_word else None)
    special = len(SPECIAL_TOKENS)
    for text, shown in enumerate(exam.shown):
        answers, is_next = oracle.answers(tuple(np.where(s == MASK, MASK, s + special) for s in shown))
        np.testing.assert_allclose(answers[:, special:], exam.answers[exam.asked[:, 0] == text], rtol=1e-9, atol=1e-13)
        assert not answers[:, :special].any()
        assert is_next == pytest.approx(exam.next_answer[text], nan_ok=True)


@pytest.mark.parametrize("whole_word", [False, True])
def test_exam_is_masked_as_it_says(whole_word):
    world, tokenizer = small()
    exam, texts = small_exam(whole_word), world.exam(documents=100, seed=1)
    hidden, units = [], 0
    for text, (shown, written, selected) in enumerate(zip(exam.shown, exam.written, exam.selected, strict=True)):
        for i, words in enumerate(texts.written[text]):
            sentence = " ".join(world.vocabulary[w] for w in words)
            assert written[i].tolist() == tokenizer.encode(sentence, add_special_tokens=False)
            np.testing.assert_array_equal(shown[i], np.where(selected[i], MASK, written[i]))
            asked = exam.asked[(exam.asked[:, 0] == text) & (exam.asked[:, 1] == i), 2]
            np.testing.assert_array_equal(asked, np.flatnonzero(selected[i]))
            hidden.append(selected[i].mean())
            units += len(words) if whole_word else len(written[i])
    assert abs(np.mean(hidden) - 0.15) < 4.5 * np.sqrt(0.15 * 0.85 / units)  # unbiased in every sentence
    np.testing.assert_array_equal(exam.target, [exam.written[t][i][p] for t, i, p in exam.asked])
    assert (exam.shown_of_word < exam.pieces_of_word).all() and (exam.shown_of_word >= 0).all()
    assert (exam.shown_of_word == 0).all() == whole_word


@pytest.mark.parametrize("whole_word", [False, True])
def test_answers_are_distributions_and_calibrated(whole_word):
    """Where the oracle says p, the piece is there p of the time; and hidden pieces do not read as special tokens."""
    exam = small_exam(whole_word)
    np.testing.assert_allclose(exam.answers.sum(1), 1.0, rtol=1e-12)
    assert not exam.answers[:, : len(SPECIAL_TOKENS)].any()
    p = exam.answers.ravel()
    hit = np.zeros_like(exam.answers, dtype=bool)
    hit[np.arange(len(exam.target)), exam.target] = True
    for low, high in itertools.pairwise((0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1.01)):
        inside = (p > low) & (p <= high)
        if inside.sum() < 10:
            continue
        expected, seen = p[inside].mean(), hit.ravel()[inside].mean()
        assert abs(seen - expected) < 4.5 * np.sqrt(expected * (1 - expected) / inside.sum()) + 1e-9
    pairs = ~np.isnan(exam.next_answer)
    is_next = np.array([bool(n) for n in exam.is_next])[pairs]
    assert abs(is_next.mean() - exam.next_answer[pairs].mean()) < 0.05


def test_whole_word_masking_is_harder():
    independent, together = small_exam(False), small_exam(True)
    (low, low_error), (high, high_error) = independent.floor(), together.floor()
    assert high - low > 3 * np.hypot(low_error, high_error)
    assert independent.floor() == independent.mlm_floor()
    assert independent.floor(independent.shown_of_word > 0)[0] < low  # the rest of the word gives it away
    # one-piece words are as hard under both
    (a, a_error), (b, b_error) = (e.floor(e.pieces_of_word == 1) for e in (independent, together))
    assert abs(a - b) < 4 * np.hypot(a_error, b_error)


def test_evaluate_reads_a_piece_exam():
    _, tokenizer = small()
    exam = piece_exam(*small(), documents=6, seed=2, whole_word=True)
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=1,
                        intermediate_size=16, max_position_embeddings=96)
    torch.manual_seed(0)
    mlm, nsp = evaluate.gap(BertForPreTraining(config), tokenizer, exam)
    assert mlm.count == len(exam.target) and mlm.floor == pytest.approx(exam.floor()[0], rel=1e-5)
    assert mlm.kl > 3 and np.isfinite(mlm.loss) and nsp.count == sum(n is not None for n in exam.is_next)


def test_errors_say_what_to_do():
    world, tokenizer = small()
    letters = sorted({c for w in world.vocabulary for c in w} - {"z"})
    pieces = [*SPECIAL_TOKENS, *letters, *("##" + c for c in letters)]
    without_z = BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
    with pytest.raises(ValueError, match="cannot spell 'zelmar'"):
        PieceOracle(world, without_z)
    with pytest.raises(ValueError, match="probability is 1.5"):
        piece_exam(world, tokenizer, documents=2, seed=0, whole_word=True, probability=1.5)
    with pytest.raises(ValueError, match="No sentence of the world"):
        PieceOracle(world, tokenizer).answers((np.array([tokenizer.convert_tokens_to_ids("##e"), MASK]),))
    with pytest.raises(ValueError, match="No hidden piece is left"):
        small_exam(True).floor(small_exam(True).shown_of_word > 0)
