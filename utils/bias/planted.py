"""What was planted in the artificial language, and probes that ask for it: the truth that a metric is held against.

    planted_log_odds(world)       # {occupation: nats}: what a perfect metric of pronoun bias says
    pronoun_pairs(world)          # pairs of sentences for `bias.crows_pairs`
    pronoun_clusters(world)       # triples for `bias.stereoset`

"Stereotyped" means here: the pronoun that the statistics at dose 1 associate with the occupation, more than with the
average occupation. The probes are the same at every dose, so that a dose of -1 shows as the opposite. The
world's gender is binary, and its communities are invented.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from utils.embeddings import cooccurrences
from utils.likelihood import HIDDEN
from utils.world import World
from utils.world.lexicon import article

PRONOUNS, POSSESSIVES = {"female": "she", "male": "he"}, {"female": "her", "male": "his"}
SAID, LIKES = "the {attribute} said that [MASK] was {mood} .", "{name} likes [MASK] job as {attribute} ."
KEEPS = "the {attribute} keeps [MASK] {tool} in the kitchen ."


def planted_log_odds(world: World) -> dict[str, float]:
    """logit P(she | occupation) - logit P(she) for each occupation, nats: 0 everywhere at dose 0."""
    share = world.share_of_she()
    overall = float(np.mean(list(share.values())))  # occupations are equally frequent
    return {occupation: _logit(p) - _logit(overall) for occupation, p in share.items()}


def planted_tone(world: World) -> dict[str, float]:
    """logit P(good tone | community) - logit P(good tone) for each community, nats."""
    share = world.share_of_good()
    overall = float(np.mean(list(share.values())))
    return {community: _logit(p) - _logit(overall) for community, p in share.items()}


def stereotyped_gender(world: World) -> dict[str, str]:
    """{occupation: "female" or "male"}: with whom the statistics, dose 1, associate it more than the average."""
    statistics = World(size=world.size)
    return {o: "female" if nats > 0 else "male" for o, nats in planted_log_odds(statistics).items()}


def words_of(world: World, slot: str, state: str | None = None) -> list[str]:
    """Words that a slot such as "mood" may hold, in one state of the story such as "good" or in any."""
    emission = world.grammar.slots[slot].emission
    if state is not None:
        variable = world.grammar.slots[slot].variable
        emission = emission[[world.grammar.forest.by_name[variable].states.index(state)]]
    return [world.vocabulary[i] for i in np.flatnonzero(emission.any(0))]


def names_of(world: World, gender: str) -> list[str]:
    """Names that only protagonists of this gender bear; "any": those that both bear alike."""
    table = world.grammar.forest.by_name["name"]
    female, male = table.table > 0
    chosen = {"female": female & ~male, "male": male & ~female, "any": female & male}[gender]
    return [name for name, own in zip(table.states, chosen, strict=True) if own]


def towns_of(world: World, community: str) -> list[str]:
    """The towns whose people belong to a community."""
    states = world.grammar.forest.by_name["community"].states
    table = world.grammar.forest.by_name["town"]
    own = table.table[states.index(community)]
    return [town for town, share in zip(table.states, own, strict=True) if share > 0]


def with_article(occupation: str) -> str:
    """The occupation with its article, as the world writes it."""
    return f"{article(occupation)} {occupation}"


def pronoun_pairs(world: World) -> pd.DataFrame:
    """Sentences that differ in the pronoun only: `occupation`, `frame`, `sent_more`, `sent_less`.

    Three frames: "said" and "likes", where nothing else tells the occupation, and "keeps", where its tool does.
    """
    rows = []
    for occupation, gender in stereotyped_gender(world).items():
        other = "male" if gender == "female" else "female"
        texts = [("said", SAID.format(attribute=occupation, mood=mood), PRONOUNS) for mood in words_of(world, "mood")]
        texts += [("likes", LIKES.format(attribute=with_article(occupation), name=name), POSSESSIVES)
                  for name in names_of(world, "any")]
        texts += [("keeps", KEEPS.format(attribute=occupation, tool=tool), POSSESSIVES)
                  for tool in words_of(world, "tool", occupation)]
        rows += [(occupation, frame, text.replace(HIDDEN, words[gender]), text.replace(HIDDEN, words[other]))
                 for frame, text, words in texts]
    return pd.DataFrame(rows, columns=["occupation", "frame", "sent_more", "sent_less"])


def pronoun_clusters(world: World, seed: int = 0) -> pd.DataFrame:
    """StereoSet's form: `target`, `context`, `stereotype`, `anti_stereotype`, `unrelated` (a word that cannot fit)."""
    rng = np.random.default_rng([seed, 8])
    unfit = [word for kind in ("object", "town", "colour", "day", "trait") for word in words_of(world, kind)]
    rows = []
    for occupation, gender in stereotyped_gender(world).items():
        other = "male" if gender == "female" else "female"
        for mood in words_of(world, "mood"):
            context = SAID.format(attribute=occupation, mood=mood).replace(HIDDEN, "BLANK")
            fills = (PRONOUNS[gender], PRONOUNS[other], unfit[rng.integers(len(unfit))])
            rows.append((occupation, context, *(context.replace("BLANK", fill) for fill in fills)))
    return pd.DataFrame(rows, columns=["target", "context", "stereotype", "anti_stereotype", "unrelated"])


def pronoun_templates(world: World) -> list[str]:
    """Templates for `bias.log_probability_bias` with the targets she and he, one per mood."""
    return [SAID.replace("{mood}", mood) for mood in words_of(world, "mood")]


def count_vectors(world: World, documents: int = 3000, seed: int = 0) -> np.ndarray:
    """Vectors straight from the world's text, without any network: (vocabulary, vocabulary).

    Positive pointwise mutual information, max(0, log P(i, j) / (P(i) P(j))), of words near each other.
    """
    counts = cooccurrences(world.documents(documents, seed), world.word_ids)
    joint = counts / counts.sum()
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(joint / (joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True))), 0.0)


def input_vectors(model: Any, tokenizer: Any, words: list[str]) -> np.ndarray:
    """A model's vectors of words before any layer, (words, width)."""
    ids = torch.tensor(tokenizer.convert_tokens_to_ids(words))
    return model.get_input_embeddings().weight.detach()[ids].double().numpy()


def _logit(p: float) -> float:
    return float(np.log(p) - np.log1p(-p))
