"""Hiring screens of notebook 11: applicants of the world with a known right answer, and résumés under every name.

    applicants = draw(World("small", pronoun_dose=0, valence_dose=0), count=4000, seed=0)
    screen = train(applicants, past_decisions(applicants, share=0.3, seed=0), seed=0)
    screen.score(applicants)                          # P(recorded as suitable), as the screen sees it

An application is the beginning of a story: its first sentence, which says name, occupation and town, and the next two.
A registry hires clerks. Whether an applicant is qualified is drawn with the probability that a card of points gives to
occupation, topic (experience with the law) and tone (what people say of the applicant), so that the exact
P(qualified | text) is a short sum (`belief`). The group is the community of the town, one of the two invented ones.
Fairness measures are in `utils.fairness`; `tools/records_fairness.py` runs the sweeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from utils import adapting, datasets, fairness, finetune, models, precision
from utils.world import World

JOB = "law"  # the topic of the registry's work
# The card: points are log-odds of being qualified. Occupations from the nearest to the farthest from the work.
NEAREST = ("lawyer", "secretary", "accountant", "librarian", "cashier", "programmer", "teacher", "scientist",
           "architect", "doctor", "nurse", "hairdresser", "painter", "baker", "carpenter", "chef")
FOR_OCCUPATION = dict(zip(NEAREST, np.linspace(2.0, -2.0, len(NEAREST)), strict=True))
FOR_TONE = {"good": 1.0, "bad": -1.0}
FOR_LAW = 1.0
GROUPS = ("zelvan", "brimic")
OWN_NAMES = 0.8  # share of a community's people who bear one of its own names: a name tells the community in part
START, STEPS, BATCH, RATE = "world-small", 300, 32, 1e-3
SENTENCES = 3


@dataclass(frozen=True)
class Applicants:
    """texts: (first sentence, the next two). community: 0 or 1, an index into `GROUPS`. qualified: 0 or 1, the truth.

    belief: exact P(qualified | text). words: for each text, {kind: word} of name and town.
    """

    texts: list[tuple[str, str]]
    community: np.ndarray
    qualified: np.ndarray
    belief: np.ndarray
    words: list[dict[str, str]]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Applicants:
        """Those of the given numbers, in that order, repeated where a number is."""
        rows = np.asarray(rows)
        return Applicants([self.texts[i] for i in rows], self.community[rows], self.qualified[rows],
                          self.belief[rows], [self.words[i] for i in rows])

    def with_texts(self, texts: Sequence[tuple[str, str]]) -> Applicants:
        """The same people with other texts."""
        return replace(self, texts=list(texts))


# ------------------------------------------------------------------------------------------ applicants of the world


def draw(world: World, count: int, seed: int) -> Applicants:
    """`count` applicants whose text names their town and no community; names are drawn so that they tell part of it."""
    rng, found = np.random.default_rng([seed, 110]), []
    for story in world.documents(7 * count // 4 + 300, seed):
        slots = [kind for frame in story.frames[:SENTENCES] for kind in frame.slots]
        if len(story.sentences) >= SENTENCES and slots.count("town") >= 1 and "community" not in slots:
            found.append(story)
    if len(found) < count:
        raise ValueError(f"{world!r} wrote {len(found)} applications with a town; ask for fewer than {count}.")
    texts, groups, beliefs, words, chances = [], [], [], [], []
    pools = names_of(world)
    for story in found[:count]:
        group = GROUPS.index(story.latents["community"])
        name = new_name(pools, story.latents["name"], group, rng)
        said = [sentence.replace(story.latents["name"], name) for sentence in story.sentences[:SENTENCES]]
        texts.append((said[0], " ".join(said[1:])))
        groups.append(group)
        beliefs.append(belief(world, story))
        words.append({"name": name, "town": story.latents["town"]})
        chances.append(card(**{kind: story.latents[kind] for kind in ("occupation", "tone", "topic")}))
    qualified = (rng.random(count) < np.array(chances)).astype(int)
    return Applicants(texts, np.array(groups), qualified, np.array(beliefs), words)


def card(occupation: str, tone: str, topic: str) -> float:
    """P(qualified) of an applicant whose occupation, tone and topic are known."""
    return float(expit(FOR_OCCUPATION[occupation] + FOR_TONE[tone] + FOR_LAW * (topic == JOB)))


def names_of(world: World) -> dict[str, tuple[list[str], list[str]]]:
    """The two communities' own names, of women, of men and of both: every other name each."""
    states = world.grammar.forest.by_name["name"]
    women, men = states.table[0] > 0, states.table[1] > 0
    kinds = {"female": women & ~men, "male": men & ~women, "any": women & men}
    return {kind: tuple([str(n) for n in np.array(states.states)[held]][k::2] for k in (0, 1))
            for kind, held in kinds.items()}


def new_name(pools: dict[str, tuple[list[str], list[str]]], name: str, group: int, rng: np.random.Generator) -> str:
    """A name of the same kind, with probability `OWN_NAMES` one of the applicant's own community."""
    own = pools[next(kind for kind, both in pools.items() if name in both[0] + both[1])]
    pool = own[group if rng.random() < OWN_NAMES else 1 - group]
    return pool[rng.integers(len(pool))]


def belief(world: World, story: Any) -> float:
    """The exact P(qualified | the first sentences): sum over tone and topic of P(tone | text) P(topic | text) card.

    Each word depends on one hidden variable only, and the first sentence tells occupation and town (or, later, the
    town is told), so the two posteriors are products of a row of the world's tables and of the words' probabilities.
    """
    grammar, latents = world.grammar, story.latents
    forest = grammar.forest
    weight = {}
    for variable, parent in (("tone", "community"), ("topic", "occupation")):
        own = forest.by_name[variable]
        row = forest.by_name[parent].states.index(latents[parent])
        chance = own.table[row].copy()
        for frame, sentence in zip(story.frames[:SENTENCES], story.sentences, strict=False):
            for kind, word in zip(frame.slots, sentence.split(), strict=True):
                slot = grammar.slots[kind]
                if slot.variable == variable:
                    chance *= slot.emission[:, world.word_ids[word]]
        weight[variable] = dict(zip(own.states, chance / chance.sum(), strict=True))
    return sum(p * q * card(latents["occupation"], tone, topic)
               for tone, p in weight["tone"].items() for topic, q in weight["topic"].items() if p * q > 0)


def past_decisions(applicants: Applicants, share: float, seed: int) -> np.ndarray:
    """What was recorded: qualified or not, but a share of the qualified of the second community were turned away."""
    turned = np.random.default_rng([seed, 111]).random(len(applicants)) < share
    return np.where((applicants.community == 1) & turned, 0, applicants.qualified)


# ------------------------------------------------------------------------------------------ the screen


@dataclass(frozen=True)
class Screen:
    """A fine-tuned classifier of applications; hidden: kinds of words ("town", "name") that it never sees."""

    model: Any
    tokenizer: Any
    hidden: tuple[str, ...] = ()

    def score(self, applicants: Applicants) -> np.ndarray:
        """P(accepted) of each application, (applicants,)."""
        examples = finetune.encode(self.tokenizer, blind(applicants, self.hidden).texts)
        logits = torch.from_numpy(finetune.predict(self.model, self.tokenizer, examples, batch_size=256))
        return logits.softmax(-1)[:, 1].numpy().astype(float)


def train(applicants: Applicants, decisions: np.ndarray, seed: int, *, hidden: tuple[str, ...] = (),
          steps: int = STEPS, progress: bool = False) -> Screen:
    """A screen that learns past decisions from the shipped world-small, without the words that are hidden."""
    model, tokenizer = models.load(START, head="sequence-classification", num_labels=2, seed=seed)
    examples = finetune.encode(tokenizer, blind(applicants, hidden).texts, decisions)
    finetune.finetune(model, tokenizer, examples, steps=steps, batch_size=BATCH, learning_rate=RATE, seed=seed,
                      progress=progress)
    return Screen(model, tokenizer, hidden)


def blind(applicants: Applicants, hidden: Sequence[str]) -> Applicants:
    """The applications with the words of these kinds replaced by [MASK]."""
    if not hidden:
        return applicants
    gone = [{words[kind] for kind in hidden} for words in applicants.words]
    return applicants.with_texts([
        tuple(" ".join("[MASK]" if w in words else w for w in part.split()) for part in text)
        for text, words in zip(applicants.texts, gone, strict=True)
    ])


def swapped(world: World, applicants: Applicants, rng: np.random.Generator) -> Applicants:
    """The same applications with a town and a name of the other community: the counterfactual."""
    towns = world.grammar.forest.by_name["town"]
    homes = [[t for t, p in zip(towns.states, row, strict=True) if p > 0] for row in towns.table]
    kinds = list(names_of(world).values())
    texts = []
    for (first, rest), words, group in zip(applicants.texts, applicants.words, applicants.community, strict=True):
        pools = next(pools for pools in kinds if words["name"] in pools[0] + pools[1])
        new = {words["town"]: homes[1 - group][rng.integers(len(homes[1 - group]))],
               words["name"]: pools[1 - group][rng.integers(len(pools[1 - group]))]}
        texts.append(tuple(" ".join(new.get(word, word) for word in part.split()) for part in (first, rest)))
    return applicants.with_texts(texts)


# ------------------------------------------------------------------------------------------ remedies

PAST, FRESH, TURNED_AWAY = 9600, 3000, 0.3
TRAININGS = ("untouched", "true answers", "reweighed", "no town", "no town, no name")
HIDDEN = {"no town": ("town",), "no town, no name": ("town", "name")}


def fair_world(valence_dose: float = 0.0) -> World:
    """The small world without any bias: occupations tell no gender, and at dose 0 communities tell no tone."""
    return World("small", pronoun_dose=0.0, valence_dose=valence_dose)


@lru_cache(maxsize=1)
def people_of(seed: int) -> tuple[Applicants, Applicants]:
    """(past applicants, fresh ones) of a seed: all trainings of a seed read the same."""
    world = fair_world()
    return draw(world, PAST, 1000 + seed), draw(world, FRESH, 5000 + seed)


def rehearse(training: str, seed: int, steps: int = STEPS, progress: bool = False
             ) -> tuple[Screen, Applicants, np.ndarray, Applicants, np.ndarray]:
    """(screen, past applicants, their recorded decisions, fresh applicants, what would be recorded of them)."""
    past, fresh = people_of(seed)
    recorded = past_decisions(past, TURNED_AWAY, seed)
    learned, labels = past, past.qualified if training == "true answers" else recorded
    if training == "reweighed":  # the loop of the course knows no weights: each is drawn as often as its weight says
        weights = fairness.reweighing(recorded, past.community)
        rows = np.random.default_rng([seed, 114]).choice(len(past), len(past), p=weights / weights.sum())
        learned, labels = past.take(rows), recorded[rows]
    screen = train(learned, labels, seed, hidden=HIDDEN.get(training, ()), steps=steps, progress=progress)
    return screen, past, recorded, fresh, past_decisions(fresh, TURNED_AWAY, 5000 + seed)


def afterwards(screen: Screen, scores: np.ndarray, fresh: Applicants, recorded: np.ndarray, seed: int
               ) -> dict[str, np.ndarray]:
    """Decisions of a finished screen, mended after the event: {rule: (applicants,)}."""
    other = screen.score(swapped(fair_world(), fresh, np.random.default_rng([seed, 115])))
    cut = np.where(fresh.community == 1, 0.5 * (1 - TURNED_AWAY), 0.5)
    return {
        "mean with the swapped text": ((scores + other) / 2 > 0.5).astype(int),
        "equal selection rates": fairness.equal_rates(scores, fresh.community, float((scores > 0.5).mean())),
        "equal odds by the record": fairness.equal_odds(scores, recorded, fresh.community, seed),
        "threshold from the known share": (scores > cut).astype(int),
    }


def judged(decisions: np.ndarray, fresh: Applicants, recorded: np.ndarray) -> dict[str, float]:
    """What a rule does: rates by community against the truth, the impact ratio, accuracy against both answers."""
    table = fairness.rates(decisions, fresh.qualified, fresh.community)
    values = {f"{column}_{g}": table.loc[g, column] for column in ("selection", "tpr", "fpr", "ppv", "accuracy")
              for g in (0, 1)}
    return {**values, "impact": table.loc[1, "selection"] / table.loc[0, "selection"],
            "accuracy": float((decisions == fresh.qualified).mean()),
            "accuracy_record": float((decisions == recorded).mean())}


# ------------------------------------------------------------------------------------------ résumés under every name

FOLDS, EPOCHS, MINILM_RATE, MAX_LENGTH = 3, 4, 1e-4, 160
PER_CELL = 3  # texts of each posting and label in a fold
BALANCED = "fine-tuned, balanced"  # the reader whose training names are dealt evenly to the labels


def folds(table: pd.DataFrame) -> np.ndarray:
    """A fold 0, 1, 2 for 72 résumés each (three of every posting and label), and -1 for those only learned from."""
    rng, fold = np.random.default_rng(112), np.full(len(table), -1)
    for _, rows in sorted(table.groupby(["posting", "suitable"]).indices.items()):
        for k, row in enumerate(rng.permutation(rows)[: FOLDS * PER_CELL]):
            fold[row] = k // PER_CELL
    return fold


def full_names(people: pd.DataFrame) -> np.ndarray:
    """Given name and surname, (people,)."""
    return (people["given"] + " " + people["surname"]).to_numpy()


def one_per_cell(table: pd.DataFrame) -> np.ndarray:
    """Which rows are the first of their posting and label, (rows,) booleans: 24 résumés of a fold."""
    return ~table.duplicated(["posting", "suitable"]).to_numpy()


def split(fold: int, seed: int, balanced: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(résumés to learn from, résumés of the fold); the column `said` has each text under a name drawn by lot.

    balanced: in the texts to learn from every origin of names goes as often with one label as with the other.
    """
    table, people = datasets.load("resumes"), datasets.load("people")
    names = full_names(people)
    drawn = np.random.default_rng([seed, 113]).choice(names, len(table))
    held = folds(table) == fold
    if balanced:
        rng = np.random.default_rng([seed, 116])
        for label in (0, 1):
            rows = np.flatnonzero(~held & (table["suitable"] == label).to_numpy())
            origins = np.resize(rng.permutation(people["origin"].unique()), len(rows))
            drawn[rng.permutation(rows)] = [rng.choice(names[people["origin"] == origin]) for origin in origins]
    table["said"] = [text.replace("{name}", name) for text, name in zip(table["text"], drawn, strict=True)]
    table["name"] = drawn
    return table[~held].reset_index(drop=True), table[held].reset_index(drop=True)


def under_names(templates: Sequence[str], names: Sequence[str]) -> list[str]:
    """Every résumé under every name, the names of the first résumé first."""
    return [template.replace("{name}", name) for template in templates for name in names]


def word_counter(learned: pd.DataFrame, seed: int) -> Callable[[Sequence[str]], np.ndarray]:
    """texts -> P(suitable), by a classifier that only counts words and pairs of words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    counts = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(counts, LogisticRegression(C=10, max_iter=2000)).fit(learned["said"], learned["suitable"])
    return lambda texts: model.predict_proba(texts)[:, 1]


def frozen(learned: pd.DataFrame, seed: int) -> Callable[[Sequence[str]], np.ndarray]:
    """texts -> P(suitable), by a linear classifier on the vectors of MiniLM as it is shipped."""
    from sklearn.linear_model import LogisticRegression

    vectors = adapting.mean_vectors("minilm", learned["said"].tolist())
    model = LogisticRegression(C=10, max_iter=2000).fit(vectors, learned["suitable"])
    return lambda texts: model.predict_proba(adapting.mean_vectors("minilm", list(texts)))[:, 1]


def fine_tuned(learned: pd.DataFrame, seed: int, epochs: int = EPOCHS) -> Callable[[Sequence[str]], np.ndarray]:
    """texts -> P(suitable), by MiniLM, all of whose weights were fine-tuned."""
    model, tokenizer = models.load("minilm", head="sequence-classification", num_labels=2, seed=seed)
    dtype = precision.choose_dtype()
    examples = finetune.encode(tokenizer, learned["said"].tolist(), learned["suitable"], MAX_LENGTH)
    finetune.finetune(model, tokenizer, examples, epochs=epochs, seed=seed, learning_rate=MINILM_RATE,
                      precision=precision.name_of(dtype), progress=False)

    def score(texts: Sequence[str]) -> np.ndarray:
        encoded = finetune.encode(tokenizer, list(texts), max_length=MAX_LENGTH)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = [finetune.predict(model, tokenizer, encoded[k : k + 512]) for k in range(0, len(encoded), 512)]
        return torch.from_numpy(np.concatenate(logits)).float().softmax(-1)[:, 1].double().numpy()

    return score


READERS = {"word counts": word_counter, "frozen": frozen, "fine-tuned": fine_tuned, BALANCED: fine_tuned}
