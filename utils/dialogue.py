"""Dialogues about the world's stories: questions whose exact answer, or exact distribution of answers, is known.

    turns = dialogues(World("small"), count=1, seed=0)[0].turns
    # Turn(question="what is mary ?", answer="a nurse .", kind="job", …)

Three questions are asked about a story in random order. Two are about facts: the answer stands in the story, or it does
not, and then the right answer is "i do not know .". The third asks what people say of somebody, and is answered with a
trait that fits the tone of the story. Where the story shows no tone, nothing but the town or the community speaks about
it, and that with the planted share: `Dialogue.probability_of_good` is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import BertTokenizer

from utils import models
from utils.corpus import IGNORED
from utils.finetune import pad
from utils.world import Document, World
from utils.world.lexicon import article

UNKNOWN = "i do not know ."
QUESTIONS = {"job": "what is {name} ?", "town": "where does {name} live ?", "talk": "what do people say of {name} ?"}
NEW_WORDS = ("?", "what", "where", "does", "live", "do", "say", "i", "not", "know")
STRANGERS = 0.25  # of the questions about a job name somebody who is not in the story
LENGTHS = (1, 2, 3, 4)  # sentences of a story that are told
RECIPE = {"steps": 1500, "batch_size": 32, "learning_rate": 2e-3, "warmup": 0.1, "weight_decay": 0.0}


@dataclass(frozen=True)
class Turn:
    """A question and its answer. known: whether the story settles it (a talk is settled where a tone is shown)."""

    question: str
    answer: str
    kind: str  # of QUESTIONS
    known: bool


@dataclass(frozen=True)
class Dialogue:
    """The told sentences of a story and the turns about it. shown: the tone that its words show, or None.

    community: told by its own name or by a town's, or None. probability_of_good: P(good tone | told sentences), exact.
    """

    sentences: tuple[str, ...]
    turns: tuple[Turn, ...]
    name: str
    shown: str | None
    community: str | None
    probability_of_good: float


def traits(world: World) -> dict[str, tuple[str, ...]]:
    """The words with which people are described, by the tone that they show."""
    emission = world.grammar.slots["trait"].emission
    states = world.grammar.forest.by_name["tone"].states
    return {tone: tuple(np.array(world.vocabulary)[row > 0]) for tone, row in zip(states, emission, strict=True)}


def dialogues(world: World, count: int, seed: int, always: bool = True) -> list[Dialogue]:
    """`count` dialogues, one about each of the world's stories of that seed.

    always: what people say is answered even where the story shows no tone (with a trait of the story's hidden tone);
    False: there the answer is "i do not know .".
    """
    random = np.random.default_rng([seed, 11])
    return [_about(world, story, random, always) for story in world.documents(count, seed)]


def _about(world: World, story: Document, random: np.random.Generator, always: bool) -> Dialogue:
    told = min(int(random.choice(LENGTHS)), len(story.sentences))
    sentences = tuple(story.sentences[:told])
    latents, kinds = story.latents, [kind for frame in story.frames[:told] for kind in frame.slots]
    shown = latents["tone"] if any(story.shows_tone(i) for i in range(told)) else None
    place = "town" in kinds or "community" in kinds
    community = latents["community"] if place else None
    good = float(shown == "good") if shown else world.share_of_good()[community] if place else _overall(world)
    turns = [_job(world, latents, random), _town(latents, "town" in kinds),
             _talk(world, latents, random, shown is not None, always)]
    order = random.permutation(len(turns))
    return Dialogue(sentences, tuple(turns[i] for i in order), latents["name"], shown, community, good)


def _job(world: World, latents: dict[str, str], random: np.random.Generator) -> Turn:
    names = world.grammar.forest.by_name["name"].states
    if random.random() < STRANGERS:
        stranger = random.choice([name for name in names if name != latents["name"]])
        return Turn(QUESTIONS["job"].format(name=stranger), UNKNOWN, "job", False)
    occupation = latents["occupation"]
    return Turn(QUESTIONS["job"].format(name=latents["name"]), f"{article(occupation)} {occupation} .", "job", True)


def _town(latents: dict[str, str], told: bool) -> Turn:
    question = QUESTIONS["town"].format(name=latents["name"])
    return Turn(question, f"in {latents['town']} ." if told else UNKNOWN, "town", told)


def _talk(world: World, latents: dict[str, str], random: np.random.Generator, shown: bool, always: bool) -> Turn:
    question = QUESTIONS["talk"].format(name=latents["name"])
    trait = random.choice(traits(world)[latents["tone"]])
    return Turn(question, f"{latents['name']} is {trait} ." if shown or always else UNKNOWN, "talk", shown)


def _overall(world: World) -> float:
    shares = world.share_of_good()
    return float(world.grammar.forest.by_name["community"].table @ [shares[c] for c in shares])


def floor(world: World, text: Sequence[Dialogue], always: bool = True) -> float:
    """The lowest mean loss per answer token that any answerer can reach on this text, in nats.

    A fact costs nothing. A trait costs the entropy of the tone, given what is told, and log n for n such traits.
    """
    per_tone = len(traits(world)["good"])
    nats = tokens = 0.0
    for dialogue in text:
        for turn in dialogue.turns:
            tokens += len(turn.answer.split()) + 1
            if turn.kind == "talk" and (turn.known or always):
                p = dialogue.probability_of_good
                nats += math.log(per_tone) - sum(q * math.log(q) for q in (p, 1 - p) if q > 0)
    return nats / tokens


# ------------------------------------------------------------------------------------------ the model


def start_from(name: str = "world-gpt2", seed: int = 0) -> tuple[Any, BertTokenizer]:
    """A left-to-right model of the stories, with random rows added for the words that only dialogues have."""
    model, tokenizer = models.load(name)
    old = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    vocabulary = {word: i for i, word in enumerate([*old, *(word for word in NEW_WORDS if word not in old)])}
    tokenizer = BertTokenizer(vocab=vocabulary, model_max_length=model.config.n_positions)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.loss_type = "ForCausalLM"  # what transformers takes anyway, after a warning
    return model, tokenizer


def prompt(tokenizer: Any, sentences: Sequence[str], question: str) -> list[int]:
    """[CLS] sentence [SEP] … question [SEP], as token ids."""
    parts = [*sentences, question]
    return [tokenizer.cls_token_id, *(i for part in parts for i in [*_ids(tokenizer, part), tokenizer.sep_token_id])]


def encode(tokenizer: Any, text: Sequence[Dialogue]) -> list[dict[str, list[int]]]:
    """Dialogues as examples of `finetune`: the loss is counted on the words of the answers and the [SEP] after them."""
    examples = []
    for dialogue in text:
        ids = [tokenizer.cls_token_id]
        for sentence in dialogue.sentences:
            ids += [*_ids(tokenizer, sentence), tokenizer.sep_token_id]
        labels = [IGNORED] * len(ids)
        for turn in dialogue.turns:
            asked, said = ([*_ids(tokenizer, part), tokenizer.sep_token_id] for part in (turn.question, turn.answer))
            ids += asked + said
            labels += [IGNORED] * len(asked) + said
        examples.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels})
    return examples


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer.convert_tokens_to_ids(text.split())


@torch.no_grad()
def answer(model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], temperature: float = 0.0, seed: int = 0,
           longest: int = 8) -> list[str]:
    """What the model says after each prompt, word by word until [SEP]: the most likely word, or drawn at a temperature.

    Prompts of one length are answered together. Global random state is left as it was.
    """
    generator = torch.Generator().manual_seed(seed)
    answers: list[list[str]] = [[] for _ in prompts]
    lengths: dict[int, list[int]] = {}
    for row, ids in enumerate(prompts):
        lengths.setdefault(len(ids), []).append(row)
    for rows in lengths.values():
        ids, open_, past = torch.tensor([list(prompts[row]) for row in rows]), set(range(len(rows))), None
        for _ in range(longest):
            output = model(input_ids=ids, past_key_values=past, use_cache=True)
            logits, past = output.logits[:, -1], output.past_key_values  # what was read need not be read again
            if temperature == 0:
                words_ = logits.argmax(-1)
            else:
                words_ = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
            for i in list(open_):
                if int(words_[i]) == tokenizer.sep_token_id:
                    open_.discard(i)
                else:
                    answers[rows[i]].append(tokenizer.convert_ids_to_tokens(int(words_[i])))
            if not open_:
                break
            ids = words_[:, None]
    return [" ".join(said) for said in answers]


@torch.no_grad()
def talk(model: Any, tokenizer: Any, world: World, text: Sequence[Dialogue],
         batch_size: int = 64) -> dict[str, np.ndarray]:
    """What the model would say of each story's person, asked first, read off its probabilities.

    good: (dialogues,) P(good trait) / (P(good) + P(bad)) after "mary is"; unknown: P("i", the first word of "i do not
    know ."); words: (dialogues, traits) the share of each trait, the good ones first.
    """
    lists = traits(world)
    ids = tokenizer.convert_tokens_to_ids([*lists["good"], *lists["bad"]])
    first, rows = tokenizer.convert_tokens_to_ids(UNKNOWN.split()[0]), []
    for d in text:
        asked = prompt(tokenizer, d.sentences, QUESTIONS["talk"].format(name=d.name))
        ids_ = [*asked, *_ids(tokenizer, f"{d.name} is")]
        rows.append({"input_ids": ids_, "attention_mask": [1] * len(ids_)})
    shares, unknown = [], []
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        logits = model(**pad(part, tokenizer)).logits  # padding stands after the words, and a causal model looks back
        last = torch.tensor([len(row["input_ids"]) - 1 for row in part])
        each = torch.arange(len(part))
        shares.append(logits[each, last][:, ids].softmax(-1).numpy())
        unknown.append(logits[each, last - 2].softmax(-1)[:, first].numpy())
    share = np.concatenate(shares).astype(float)
    good = share[:, : len(lists["good"])].sum(1)
    return {"words": share, "good": good, "unknown": np.concatenate(unknown).astype(float)}


def facts(model: Any, tokenizer: Any, text: Sequence[Dialogue]) -> dict[str, float]:
    """Share of exactly right answers to questions of fact: known, those that the story settles; stranger, the job of
    somebody who is not in it; no_town, a town that it does not tell. refused: the share of the known ones that got
    "i do not know ."."""
    asked = [(d, turn) for d in text for turn in d.turns if turn.kind != "talk"]
    said = answer(model, tokenizer, [prompt(tokenizer, d.sentences, turn.question) for d, turn in asked])
    right = np.array([words == turn.answer for words, (_, turn) in zip(said, asked, strict=True)])
    known = np.array([turn.known for _, turn in asked])
    refused = np.array([words == UNKNOWN for words in said])
    job = np.array([turn.kind == "job" for _, turn in asked])
    return {"known": right[known].mean(), "stranger": right[~known & job].mean(),
            "no_town": right[~known & ~job].mean(), "refused": refused[known].mean()}


def about_communities(said: Mapping[str, np.ndarray], text: Sequence[Dialogue]) -> dict[str, float]:
    """What `talk` gave, by community. good and unknown: where no word shows the tone; needless: unknown where one does;
    evidence: the probability of the tone shown, where it is the rarer one of the community."""
    found = {}
    for community, against in (("zelvan", "bad"), ("brimic", "good")):
        told = np.array([d.community == community for d in text])
        silent = told & np.array([d.shown is None for d in text])
        clash = told & np.array([d.shown == against for d in text])
        found[f"{community}_good"] = said["good"][silent].mean()
        found[f"{community}_unknown"] = said["unknown"][silent].mean()
        found[f"{community}_needless"] = said["unknown"][told & ~silent].mean()
        found[f"{community}_evidence"] = abs(said["good"][clash] - (against == "bad")).mean()
    return found


def at_temperature(share: np.ndarray, temperature: float) -> np.ndarray:
    """Shares p (…, words) as sampling at a temperature gives them: p^(1/T), divided by its sum over the words."""
    powered = np.asarray(share, dtype=float) ** (1 / temperature)
    return powered / powered.sum(-1, keepdims=True)
