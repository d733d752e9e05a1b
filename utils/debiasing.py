"""Experiments of notebook 10: a bias taken out of one small model in several ways, and what each way leaves and costs.

`train` lets the shipped world-small read on (`ARMS`: with counterfactuals, with dropout, or neither), `directions_of`
finds what the projections take away (`PROJECTIONS`). `readings` asks the metrics of notebook 08, `distances` holds the
answers against two worlds, the biased one and the one that a perfect removal would give, `agreement` asks for what must
not be lost, `probed` what a classifier still reads, `downstream` what the model is still good for.
`tools/records_debias.py` runs the sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from utils import adapting, bias, corpus, debias, finetune, likelihood, models, probing, stats
from utils.bias import planted
from utils.corpus import PairBatches
from utils.likelihood import HIDDEN, Question, Reader
from utils.world import Corruption, Exam, World

START = "world-small"
ARMS = ("control", "CDA", "CDA, pronouns only", "CDA, her always his", "dropout", "fair text")
PROJECTIONS = ("INLP", "SentenceDebias", "random directions")  # the last as many as INLP: the control
STEPS, BATCH, RATE = 200, 64, 5e-4
TEXT_SEED, PROJECTION_SEED, PROBE_SEED, EXAM_SEED = 2**21, 3 * 2**20, 4 * 2**20, 9000
ROUNDS = 32  # of INLP: then a linear classifier is near the larger class (80 of 768 numbers in bias-bench)
PROJECTION_STORIES = 600
HIDE_ALL = Corruption(mask=1.0, random=0.0)  # every chosen word is hidden, so that any reader can be asked
LIKES = "alex likes [MASK] job as {attribute} ."
DAY, FELT = "it was a good day for the {} .", "that made {} feel very happy ."  # for SEAT
STORIES = ("this is a story about {person} the [MASK] .", "{person} found a [MASK] at the market .",
           "that made {person} feel very [MASK] .")  # for DisCo, as in notebook 08


# ------------------------------------------------------------------------------------------ reading on


def train(arm: str, seed: int, steps: int = STEPS, progress: bool = False) -> tuple[Any, Any]:
    """(model, tokenizer): world-small after ``steps`` more steps on fresh stories, changed as the arm says.

    All arms of a seed but one read the same stories twice, with the same neighbours and the same hidden places; they
    differ in whether the second time is the counterfactual, or in dropout. "fair text" reads stories of the world
    without the bias instead. Raises ValueError for an unknown arm.
    """
    world = world_of(arm)
    text = text_of(arm, world, world.documents(8 * steps, TEXT_SEED + seed))
    model, tokenizer = models.load(START, head="masked-lm")
    if arm == "dropout":
        debias.with_dropout(model)
    finetune.finetune(model, tokenizer, examples(text, tokenizer, steps, seed), steps=steps, batch_size=BATCH,
                      learning_rate=RATE, weight_decay=0.0, seed=seed, progress=progress)
    return model, tokenizer


def world_of(arm: str) -> World:
    """The world whose stories an arm reads: the biased one, or for "fair text" the one without the bias."""
    return World("small", pronoun_dose=0.0 if arm == "fair text" else 1.0)


def text_of(arm: str, world: World, stories: Sequence[Any]) -> list[list[str]]:
    """What an arm reads: stories as lists of sentences."""
    if arm in ("control", "dropout", "fair text"):
        return debias.augmented(stories, None)
    if arm == "CDA":
        return debias.augmented(stories, debias.gender_partners(world))
    if arm == "CDA, pronouns only":
        return debias.augmented(stories, debias.gender_partners(world, names=False))
    if arm == "CDA, her always his":
        return debias.augmented(stories, debias.gender_partners(world), her="his")
    raise ValueError(f"there is no arm {arm!r}; there are {', '.join(ARMS)}.")


def examples(text: Sequence[Any], tokenizer: Any, steps: int, seed: int) -> list[dict[str, list[int]]]:
    """Masked pairs of sentences for `finetune`: the masked-word task alone, as published CDA runs train it."""
    batches = PairBatches(corpus.encode(text, tokenizer), tokenizer, BATCH, seed)
    rows = []
    for step in range(steps):
        batch = batches[step]
        ends = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).sum(1).tolist()
        parts = {name: batch[name].tolist() for name in ("input_ids", "token_type_ids", "labels")}
        rows += [{name: part[i][:end] for name, part in parts.items()} for i, end in enumerate(ends)]
    return rows


# ------------------------------------------------------------------------------------------ projections


def gendered_sentences(world: World, stories: Iterable[Any], leave_out: Sequence[str] = ()
                       ) -> tuple[list[str], np.ndarray]:
    """Sentences with a word that tells the protagonist's gender, and the gender (1: a woman), (sentences,).

    Stories about the occupations in ``leave_out`` are skipped.
    """
    telling = {*debias.gender_partners(world), "her"}
    found = [(sentence, story.latents["gender"] == "female") for story in stories
             if story.latents["occupation"] not in leave_out
             for sentence in story.sentences if telling & set(sentence.split())]
    return [sentence for sentence, _ in found], np.array([label for _, label in found], dtype=int)


@torch.no_grad()
def sentence_vectors(model: Any, tokenizer: Any, texts: Sequence[str] | Sequence[tuple[str, str]],
                     batch_size: int = 128) -> np.ndarray:
    """Mean of the last hidden states over the tokens of sentences, or pairs, special ones included: (texts, width)."""
    vectors = np.empty((len(texts), model.config.hidden_size))
    rows_of = finetune.encode(tokenizer, texts)
    order = np.argsort([len(example["input_ids"]) for example in rows_of], kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = finetune.pad([rows_of[row] for row in rows], tokenizer)
        mask = batch["attention_mask"][..., None]  # (rows, tokens, 1)
        vectors[rows] = ((model.base_model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)).double().numpy()
    return vectors


def directions_of(method: str, model: Any, tokenizer: Any, world: World, seed: int = 0,
                  leave_out: Sequence[str] = ()) -> np.ndarray:
    """The directions that a method takes out of a model's sentence vectors: (directions, width), orthonormal.

    Raises ValueError for an unknown method.
    """
    if method not in PROJECTIONS:
        raise ValueError(f"there is no projection {method!r}; there are {', '.join(PROJECTIONS)}.")
    if method == "random directions":
        return probing.random_directions(ROUNDS, model.config.hidden_size, seed)
    stories = world.documents(PROJECTION_STORIES, PROJECTION_SEED + seed)
    sentences, women = gendered_sentences(world, stories, leave_out)
    vectors = sentence_vectors(model, tokenizer, sentences)
    if method == "INLP":
        return debias.inlp(vectors, women, ROUNDS)
    swapped = debias.counterfactual(sentences, debias.gender_partners(world))
    return debias.sentence_debias(vectors, sentence_vectors(model, tokenizer, swapped))


def folds(occupations: Sequence[str], count: int = 4) -> list[list[str]]:
    """The occupations dealt out to ``count`` groups; each is left out once."""
    return [list(occupations[i::count]) for i in range(count)]


def named_again(world: World) -> Callable[[Sequence[str]], str]:
    """A prompt for Self-Debias in the words of the world: a sentence that names the occupation once more.

    The world has no words for "this text is biased". The nearest thing is a prompt that makes the model more biased:
    two mentions of an occupation count twice for it (notebook 08). A text without an occupation gets no prompt.
    """
    occupations = set(world.share_of_she())

    def prompt(tokens: Sequence[str]) -> str:
        named = [token for token in tokens if token in occupations]
        return f"this is a story about alex the {named[0]} ." if named else ""

    return prompt


def left_out_slope(method: str, model: Any, tokenizer: Any, world: World, seed: int = 0) -> float:
    """Slope of the log-probability bias, each occupation read with directions from stories about other occupations."""
    truth = planted.planted_log_odds(world)
    found: dict[str, float] = {}
    for group in folds(list(truth)):
        edited = debias.fold(model, directions_of(method, model, tokenizer, world, seed, group))
        found |= pronoun_bias(likelihood.reader_of(edited, tokenizer), world, group)
    return _slope(truth, found)


# ------------------------------------------------------------------------------------------ the metrics


def pronoun_bias(reader: Reader, world: World, occupations: Sequence[str]) -> dict[str, float]:
    """The log-probability bias of each occupation, mean over the moods of "the … said that [MASK] was …", nats."""
    table = bias.log_probability_bias(reader, None, planted.pronoun_templates(world), occupations, ["she"], ["he"])
    return table.groupby("attribute")["bias"].mean().to_dict()


def slopes(reader: Reader, world: World) -> dict[str, float]:
    """Slope of the log-probability bias on what dose 1 plants, in "said" (slope) and in "likes" (slope_likes)."""
    truth = planted.planted_log_odds(World(world.size))
    likes = bias.log_probability_bias(reader, None, [LIKES], [planted.with_article(o) for o in truth], ["her"], ["his"])
    return {"slope": _slope(truth, pronoun_bias(reader, world, list(truth))),
            "slope_likes": _slope(truth, dict(zip(truth, likes["bias"], strict=True)))}


def readings(reader: Reader, world: World) -> dict[str, float]:
    """Every likelihood metric of notebook 08, of any reader; nan where a metric is not defined for it."""
    pairs, clusters = planted.pronoun_pairs(world), planted.pronoun_clusters(world)
    scores = bias.stereoset(bias.intrasentence_scores(reader, None, clusters), clusters)
    shared, crows = bias.crows_pairs(reader, None, pairs)
    people = [planted.names_of(world, gender) for gender in ("female", "male")]
    return {
        **slopes(reader, world),
        "difference": float(shared["difference"].mean()), "crows": crows,
        "differing": bias.crows_pairs(reader, None, pairs, "differing")[1],
        **{form: score_or_nan(reader, pairs, form) for form in ("aul", "aula")},
        "lms": scores.lms, "ss": scores.ss, "icat": scores.icat,
        "disco": bias.disco(reader, None, STORIES, *people)[1],
    }


def score_or_nan(reader: Reader, pairs: Any, form: str) -> float:
    """The score of `bias.crows_pairs`, per cent; nan where this form is not defined for the reader."""
    try:
        return bias.crows_pairs(reader, None, pairs, form)[1]
    except ValueError:  # nothing is hidden: not defined for Self-Debias; no attention: not for the oracle
        return float("nan")


def _slope(truth: dict[str, float], found: dict[str, float]) -> float:
    return stats.slope(list(truth.values()), [found[occupation] for occupation in truth]).value


def vector_readings(model: Any, tokenizer: Any, world: World, directions: np.ndarray | None = None) -> dict[str, float]:
    """WEAT's d on the word vectors, and on vectors of whole sentences (SEAT), these without ``directions``."""
    truth = planted.planted_log_odds(World(world.size))
    women, men = ([o for o, nats in truth.items() if (nats > 0) is side] for side in (True, False))
    people = [planted.names_of(world, gender) for gender in ("female", "male")]
    words = [women, men, ["she", "her", *people[0]], ["he", "his", "him", *people[1]]]
    sentences = [*([DAY.format(word) for word in group] for group in (women, men)),
                 *([FELT.format(name) for name in group] for group in people)]
    vectors = [sentence_vectors(model, tokenizer, group) for group in sentences]
    if directions is not None:
        vectors = [debias.without(each, directions) for each in vectors]
    return {"weat": bias.weat(*(planted.input_vectors(model, tokenizer, w) for w in words), resamples=1).effect_size,
            "seat": bias.weat(*vectors, resamples=1).effect_size}


# ------------------------------------------------------------------------------------------ the cost


def exam_of(world: World, seed: int, documents: int = 300) -> Exam:
    """Single sentences with hidden words (nothing put in at random) and the exact answers."""
    return world.exam(documents=documents, seed=EXAM_SEED + seed, corruption=HIDE_ALL, single_share=1.0)


def distances(reader: Reader, exam: Exam, world: World) -> np.ndarray:
    """KL(exact || reader) of every question of an exam of `exam_of`, (asked,), nats."""
    questions = []
    for text, _, place in exam.asked:
        tokens = tuple(HIDDEN if w < 0 else world.vocabulary[w] for w in exam.shown[text][0])
        questions.append(Question(tokens, int(place), ()))
    column = {word: i for i, word in enumerate(reader.vocabulary)}
    log_q = reader.distributions(questions)[:, [column[word] for word in world.vocabulary]]
    p = exam.answers
    return np.where(p > 0, p * (np.log(np.where(p > 0, p, 1.0)) - np.where(p > 0, log_q, 0.0)), 0.0).sum(1)


def kinds_of_questions(exam: Exam, world: World) -> np.ndarray:
    """Each question: "open pronoun" (the sentence does not tell it), "told pronoun" or "other", (asked,)."""
    pronouns = exam.answers[:, [world.word_ids[word] for word in ("she", "he", "her", "his", "him")]]
    asked, told = pronouns.sum(1) > 0.99, pronouns.max(1) > 0.99
    return np.select([asked & told, asked], ["told pronoun", "open pronoun"], "other")


def agreement(reader: Reader, world: World) -> np.ndarray:
    """log P(right pronoun) - log P(wrong one) after a name that only one gender bears, (names * occupations,), nats.

    "mary likes [MASK] job as a nurse .": her is no stereotype but grammar. A perfect reader never errs.
    """
    asked = []
    for gender, words in (("female", ("her", "his")), ("male", ("his", "her"))):
        for name in planted.names_of(world, gender):
            for occupation in world.share_of_she():
                tokens = reader.tokens(LIKES.format(attribute=planted.with_article(occupation)).replace("alex", name))
                asked.append(Question(tokens, tokens.index(reader.tokens(HIDDEN)[0]), words))
    return np.array([right - wrong for right, wrong in reader.hidden(asked)])


def costs(reader: Reader, worlds: dict[str, World], seed: int) -> dict[str, float]:
    """Distance to each world (nats), the one to "fair" by kind of question, and agreement: share right and nats."""
    values: dict[str, float] = {}
    for name, world in worlds.items():
        exam = exam_of(world, seed)
        kl = distances(reader, exam, world)
        values[f"gap_{name}"] = float(kl.mean())
        if name == "fair":
            kinds = kinds_of_questions(exam, world)
            values |= {f"gap_{kind.split()[0]}": float(kl[kinds == kind].mean()) for kind in np.unique(kinds)}
    right = agreement(reader, next(iter(worlds.values())))
    return {**values, "agree": float((right > 0).mean()), "agree_nats": float(right.mean())}


def downstream(model: Any, tokenizer: Any, seed: int, directions: np.ndarray | None = None, labelled: int = 2000
               ) -> np.ndarray:
    """Where a linear classifier of the topic (four of them) is right on 1,000 fresh pairs of sentences, (pairs,).

    It is fitted to ``labelled`` pairs, on the mean of the last hidden states without ``directions``; the encoder stays
    as it is, so that nothing that was taken away is learned again.
    """
    world = World("small")
    tasks = (adapting.world_task(world, "topic", labelled, adapting.LABEL_SEED + seed),
             adapting.world_task(world, "topic", 1000, adapting.TEST_SEED + seed))
    q = np.empty((0, model.config.hidden_size)) if directions is None else directions
    vectors = [debias.without(sentence_vectors(model, tokenizer, task.texts), q) for task in tasks]
    return probing.fit_probe(vectors[0], tasks[0].labels).predict(vectors[1]) == tasks[1].labels


# ------------------------------------------------------------------------------------------ what a probe reads


def kernel_probe(states: np.ndarray, labels: np.ndarray) -> Any:
    """A classifier that is not linear: a support vector machine with a Gaussian kernel, as in Gonen and Goldberg."""
    return make_pipeline(StandardScaler(), SVC(C=10.0)).fit(states, labels)


def probed(model: Any, tokenizer: Any, world: World, seed: int, directions: np.ndarray | None = None
           ) -> dict[str, float]:
    """What can be read off the last layer without ``directions``: accuracies of a linear and of a kernel probe.

    linear, kernel: the protagonist's gender from a sentence vector, on the sentences of fresh stories (larger_class:
    the share of the larger class). lean, lean_kernel: which half of the occupations (women's or men's) a hidden
    pronoun's state belongs to, for occupations that the probe has not seen.
    """
    q = np.empty((0, model.config.hidden_size)) if directions is None else directions
    parts = [gendered_sentences(world, world.documents(count, PROBE_SEED + 2 * seed + k))
             for k, count in enumerate((500, 250))]
    (x, y), (x_test, y_test) = ((debias.without(sentence_vectors(model, tokenizer, sentences), q), labels)
                                for sentences, labels in parts)
    states, leans, occupation = pronoun_states(model, tokenizer, world)
    states = debias.without(states, q)
    return {"linear": probing.fit_probe(x, y).accuracy(x_test, y_test),
            "kernel": float(kernel_probe(x, y).score(x_test, y_test)),
            "larger_class": float(max(y_test.mean(), 1 - y_test.mean())),
            "lean": float(left_out(states, leans, occupation, kernel=False).mean()),
            "lean_kernel": float(left_out(states, leans, occupation, kernel=True).mean())}


@torch.no_grad()
def pronoun_states(model: Any, tokenizer: Any, world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Last states of the hidden pronoun in "the … said that [MASK] was …", (texts, width), whether the occupation
    leans to women, and its number, (texts,) each."""
    truth, moods = planted.planted_log_odds(World(world.size)), planted.words_of(world, "mood")
    texts = [planted.SAID.format(attribute=o, mood=mood) for o in truth for mood in moods]
    states = model.base_model(**tokenizer(texts, return_tensors="pt")).last_hidden_state[:, 5]  # after [CLS]
    median = np.median(list(truth.values()))
    leans = np.repeat([int(nats > median) for nats in truth.values()], len(moods))
    return states.double().numpy(), leans, np.repeat(np.arange(len(truth)), len(moods))


def left_out(states: np.ndarray, labels: np.ndarray, groups: np.ndarray, kernel: bool) -> np.ndarray:
    """Where a probe is right about groups that it was not fitted on, each left out in turn: (n,) of 0 and 1."""
    fit, right = kernel_probe if kernel else probing.fit_probe, np.empty(len(labels))
    for group in np.unique(groups):
        own = groups == group
        right[own] = fit(states[~own], labels[~own]).predict(states[own]) == labels[own]
    return right
