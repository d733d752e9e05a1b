"""How far a model is from the floor: its answers against the world's exact ones, on the same questions.

The distance is the mean KL(p || q), p the exact distribution and q the model's, over the positions of
an exam (`World.exam`). It is paired, so its standard error is far smaller than that of a difference
between a measured loss and a floor. loss = floor + distance, up to the luck of the sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from utils.corpus import IS_NEXT
from utils.forward import word_logits
from utils.world import Exam, World, exams
from utils.world.oracle import MASK

TEXTS_AT_A_TIME = 256


@dataclass(frozen=True)
class Gap:
    """A model's distance to a floor. All in nats; each standard error is clustered by document.

    kl, kl_error: mean KL(exact || model) and its standard error; loss: the model's mean loss;
    floor: the exact answers' mean loss on the same questions; count: questions.
    """

    kl: float
    kl_error: float
    loss: float
    floor: float
    count: int

    def __str__(self) -> str:
        return f"{self.kl:.3f} ± {self.kl_error:.3f} nats above the floor ({self.count} questions)"


@torch.no_grad()
def answers(model: Any, tokenizer: Any, exam: Exam) -> tuple[np.ndarray, np.ndarray]:
    """The model's log probabilities for an exam: words (asked, tokenizer's vocabulary), IsNext (texts,).

    The rows follow exam.asked; IsNext is nan for single sentences and for models without that head.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for text, shown in enumerate(exam.shown):
        groups.setdefault(tuple(len(s) for s in shown), []).append(text)
    rows_of_text: dict[int, list[int]] = {}
    for row, text in enumerate(exam.asked[:, 0]):
        rows_of_text.setdefault(int(text), []).append(row)
    words = np.full((len(exam.asked), len(tokenizer)), np.nan, dtype=np.float32)
    is_next = np.full(len(exam.shown), np.nan)
    was_training = model.training
    model.eval()
    for members in groups.values():
        for start in range(0, len(members), TEXTS_AT_A_TIME):
            texts = members[start : start + TEXTS_AT_A_TIME]
            output = model(**inputs(exam, texts, tokenizer, model))
            logits = word_logits(output)
            rows = [row for text in texts for row in rows_of_text.get(text, [])]
            batch = {text: i for i, text in enumerate(texts)}
            if rows:
                asked = exam.asked[rows]
                place = np.array([_column(exam, *question) for question in asked])
                picked = logits[[batch[int(t)] for t in asked[:, 0]], place]
                words[rows] = torch.log_softmax(picked.float(), -1).cpu().numpy()
            if "seq_relationship_logits" in output and len(exam.shown[texts[0]]) == 2:
                relation = torch.log_softmax(output["seq_relationship_logits"].float(), -1)
                is_next[texts] = relation[:, IS_NEXT].cpu().numpy()
    model.train(was_training)
    return words, is_next


def inputs(exam: Exam, texts: list[int], tokenizer: Any, model: Any) -> dict[str, torch.Tensor]:
    """Equally long texts of an exam as a model's input: input_ids (batch, sequence) and, for BERT, token_type_ids."""
    first_word = len(tokenizer) - _vocabulary_size(exam)  # the special tokens come before the words
    rows, kinds = [], []
    for text in texts:
        row, kind = [tokenizer.cls_token_id], [0]
        for i, shown in enumerate(exam.shown[text]):
            row += [tokenizer.mask_token_id if w == MASK else int(w) + first_word for w in shown]
            row += [tokenizer.sep_token_id]
            kind += [i] * (len(shown) + 1)
        rows.append(row)
        kinds.append(kind)
    device = next(model.parameters()).device
    batch = {"input_ids": torch.tensor(rows, device=device)}
    if getattr(model.config, "type_vocab_size", 0) > 1:
        batch["token_type_ids"] = torch.tensor(kinds, device=device)
    return batch


def gap(model: Any, tokenizer: Any, exam: Exam) -> tuple[Gap, Gap | None]:
    """Distance to the MLM floor and, where the model has that head, to the NSP floor."""
    words, is_next = answers(model, tokenizer, exam)
    first_word = len(tokenizer) - _vocabulary_size(exam)
    mlm = _gap(exam.answers, words[:, first_word:], exam.target, exam.document[exam.asked[:, 0]])
    pairs = np.flatnonzero(~np.isnan(is_next))
    if len(pairs) == 0:
        return mlm, None
    exact = np.stack([exam.next_answer[pairs], 1 - exam.next_answer[pairs]], axis=1)
    log_q = np.stack([is_next[pairs], np.log1p(-np.exp(np.minimum(is_next[pairs], -1e-12)))], axis=1)
    target = np.array([0 if exam.is_next[i] else 1 for i in pairs])
    return mlm, _gap(exact, log_q, target, exam.document[pairs])


@torch.no_grad()
def causal_gap(model: Any, tokenizer: Any, world: World, documents: int = 200, seed: int = 1) -> Gap:
    """Distance of a left-to-right model to the causal floor, per word of two sentences in a row."""
    first_word = len(tokenizer) - len(world.vocabulary)
    groups: dict[tuple[int, int], list[tuple[int, np.ndarray, np.ndarray]]] = {}
    for d, story in enumerate(world.documents(documents, seed)):
        ids = [np.array([world.word_ids[w] for w in s.split()]) for s in story.sentences]
        for first, second in zip(ids, ids[1:], strict=False):
            groups.setdefault((len(first), len(second)), []).append((d, first, second))
    exact, log_q, target, cluster = [], [], [], []
    was_training = model.training
    model.eval()
    for (length, _), members in groups.items():
        for start in range(0, len(members), exams.ROWS_AT_A_TIME):
            texts = members[start : start + exams.ROWS_AT_A_TIME]
            first, second = (np.stack([text[i] for text in texts]) for i in (1, 2))
            written = np.concatenate([first, second], axis=1)
            exact.append(exams.causal_distributions(world.oracle, first, second).reshape(-1, len(world.vocabulary)))
            start, separator = (np.full((len(texts), 1), i) for i in (tokenizer.cls_token_id, tokenizer.sep_token_id))
            tokens = np.concatenate([start, first + first_word, separator, second + first_word, separator], axis=1)
            logits = model(input_ids=torch.from_numpy(tokens)).logits
            # each word is read off the token before it; the first word of the second sentence off the separator
            before = np.r_[np.arange(length), np.arange(length, written.shape[1]) + 1]
            q = torch.log_softmax(logits[:, before].float(), -1)[..., first_word:]
            log_q.append(q.reshape(-1, len(world.vocabulary)).numpy())
            target.append(written.ravel())
            cluster.append(np.repeat([text[0] for text in texts], written.shape[1]))
    model.train(was_training)
    return _gap(*(np.concatenate(part) for part in (exact, log_q, target, cluster)))


def _gap(exact: np.ndarray, log_q: np.ndarray, target: np.ndarray, cluster: np.ndarray) -> Gap:
    log_p = np.log(np.where(exact > 0, exact, 1.0))
    kl = (exact * (log_p - log_q)).sum(1)
    rows = np.arange(len(target))
    mean, error = exams.clustered_mean(kl, cluster)
    return Gap(mean, error, float(-log_q[rows, target].mean()), float(-log_p[rows, target].mean()), len(target))


def _column(exam: Exam, text: int, sentence: int, position: int) -> int:
    """Where a word of an exam stands in the model's input: after [CLS], and after the first sentence's [SEP]."""
    return int(position) + 1 + (len(exam.shown[text][0]) + 1 if sentence else 0)


def _vocabulary_size(exam: Exam) -> int:
    return exam.answers.shape[1]


# Slots of the world's frames, grouped as a reader would call them; a fixed word of a frame has no slot.
KINDS = {
    "pronouns": ("pronoun", "object_pronoun", "possessive", "friend_pronoun"),
    "names": ("name", "friend"),
    "occupations": ("occupation",),
    "tools": ("tool",),
    "towns, communities": ("town", "community", "employer"),
    "topic words": ("topic", "object", "place"),
    "tone words": ("mood", "trait", "day_was", "treated"),
    "free words": ("day", "time", "colour", "relative", "room", "number", "weather", "manner"),
}
FIXED = "fixed words"


def kinds_of_words(world: World) -> np.ndarray:
    """The kind of each word of the vocabulary: the first of KINDS that can write it, else "fixed words"."""
    kinds = np.full(len(world.vocabulary), FIXED, dtype=object)
    for kind, slots in reversed(KINDS.items()):
        for slot in slots:
            if slot in world.grammar.slots:
                kinds[world.grammar.slots[slot].emission.any(0)] = kind
    return kinds


def by_kind(model: Any, tokenizer: Any, world: World, exam: Exam) -> pd.DataFrame:
    """Where the loss is paid, by kind of the word written: entropy (unavoidable) and KL (the model's own), in nats.

    Columns: kind, questions, entropy and kl (means per question of that kind), and each one's share of
    the overall mean loss, entropy_share and kl_share, which add up to the mean entropy and the mean KL.
    """
    words, _ = answers(model, tokenizer, exam)
    log_q = words[:, len(tokenizer) - _vocabulary_size(exam) :]
    log_p = np.log(np.where(exam.answers > 0, exam.answers, 1.0))
    entropy = -(exam.answers * log_p).sum(1)
    kl = (exam.answers * (log_p - log_q)).sum(1)
    table = pd.DataFrame({"kind": kinds_of_words(world)[exam.target], "entropy": entropy, "kl": kl})
    grouped = table.groupby("kind").agg(questions=("kl", "size"), entropy=("entropy", "mean"), kl=("kl", "mean"))
    for part in ("entropy", "kl"):
        grouped[f"{part}_share"] = grouped[part] * grouped["questions"] / len(table)
    return grouped.sort_values("entropy_share", ascending=False).reset_index()


@torch.no_grad()
def share_of_she(model: Any, tokenizer: Any, world: World, template: str | None = None) -> pd.DataFrame:
    """P(she) / (P(she) + P(he)) for each occupation, by the model and exactly; columns occupation, model, exact.

    template: a sentence of the world with {occupation} and one [MASK] where the pronoun is.
    """
    template = template or "the {occupation} said that [MASK] was happy ."
    pronouns = tokenizer.convert_tokens_to_ids(["she", "he"])
    rows = []
    for occupation in world.share_of_she():
        text = template.format(occupation=occupation)
        batch = tokenizer(text, return_tensors="pt").to(next(model.parameters()).device)
        logits = word_logits(model(**batch))
        place = int((batch["input_ids"][0] == tokenizer.mask_token_id).nonzero()[0, 0])
        shares = torch.softmax(logits[0, place, pronouns].float(), -1)
        exact = world.masked_distribution(text)
        rows.append((occupation, float(shares[0]), exact["she"] / (exact["she"] + exact["he"])))
    return pd.DataFrame(rows, columns=["occupation", "model", "exact"])


def padded(exam: Exam, texts: list[int], tokenizer: Any) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Texts of an exam of single sentences as one padded batch, the way training code meets unequal lengths.

    Returns the model's input (input_ids, token_type_ids, attention_mask), the uncorrupted ids and the labels
    (-100 where nothing is asked), each (texts, longest).
    """
    first_word = len(tokenizer) - _vocabulary_size(exam)
    longest = max(len(exam.written[text][0]) for text in texts) + 2
    clean = torch.full((len(texts), longest), tokenizer.pad_token_id)
    shown, labels = clean.clone(), torch.full_like(clean, -100)
    for row, text in enumerate(texts):
        parts = (exam.written, exam.shown, exam.selected)
        written, visible, selected = (torch.from_numpy(part[text][0]) for part in parts)
        end = len(written) + 1
        for ids in (clean, shown):
            ids[row, 0], ids[row, end] = tokenizer.cls_token_id, tokenizer.sep_token_id
        clean[row, 1:end] = written + first_word
        shown[row, 1:end] = torch.where(visible == MASK, tokenizer.mask_token_id, visible + first_word)
        labels[row, 1:end] = torch.where(selected, written + first_word, -100)
    mask = (clean != tokenizer.pad_token_id).long()
    return {"input_ids": shown, "token_type_ids": torch.zeros_like(clean), "attention_mask": mask}, clean, labels
