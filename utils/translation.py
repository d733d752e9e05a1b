"""Encoder-decoders: a small one for the parallel text, and what any of them says about she and he.

    model, tokenizer = models.load("world-translator", head="seq2seq-lm")
    translate(model, tokenizer, ["o bir doktor ."])                 # ["he is a doctor ."]
    share_of_she(model, tokenizer, pairs)                           # P(she) / (P(she) + P(he)), read off the decoder

`translate` works with sequence-to-sequence models of transformers. Training is `utils.finetune.finetune` on the
examples of `encode`: the model starts from random weights, and learns only from the loss per target word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BartConfig, BartForConditionalGeneration

from utils import finetune, parallel, stats
from utils.parallel import KINDS, PRONOUNS, Pair, spaced
from utils.world import World

LONGEST = 20  # tokens of a translation
RECIPE = {"steps": 3000, "batch_size": 64, "learning_rate": 2e-3, "warmup": 0.1, "weight_decay": 0.0}


def build_model(tokenizer: Any, width: int = 64, layers: int = 2, heads: int = 4, seed: int = 0) -> Any:
    """A BART with random weights (Lewis et al. 2020): encoder, decoder, and cross-attention between them."""
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=width, max_position_embeddings=64, encoder_layers=layers,
        decoder_layers=layers, encoder_attention_heads=heads, decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width, dropout=0.0, attention_dropout=0.0,
        activation_dropout=0.0, init_std=0.06, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id, eos_token_id=tokenizer.sep_token_id,
        decoder_start_token_id=tokenizer.cls_token_id, forced_bos_token_id=None,
        forced_eos_token_id=None, attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BartForConditionalGeneration(config).eval()


def encode(tokenizer: Any, text: Sequence[Pair]) -> list[dict[str, list[int]]]:
    """Pairs as examples of `finetune`: the source's input_ids and attention_mask, and the target's words as labels.

    The labels end with [SEP] and do not begin with [CLS]: that is where the decoder starts.
    """
    sources = tokenizer([pair.source for pair in text])
    targets = tokenizer([pair.target for pair in text])["input_ids"]
    rows = zip(sources["input_ids"], sources["attention_mask"], targets, strict=True)
    return [{"input_ids": ids, "attention_mask": mask, "labels": target[1:]} for ids, mask, target in rows]


@torch.no_grad()
def translate(model: Any, tokenizer: Any, sources: Sequence[str], method: str = "greedy", *, beams: int = 4,
              temperature: float = 1.0, seed: int = 0, batch_size: int = 256) -> list[str]:
    """The model's translations, by "greedy" choice, "beam" search or "sample" (from the whole distribution).

    Works with any encoder-decoder. Global random state is left as it was. Raises ValueError for another method.
    """
    options = {"greedy": {"do_sample": False, "num_beams": 1}, "beam": {"do_sample": False, "num_beams": beams},
               "sample": {"do_sample": True, "num_beams": 1, "temperature": temperature, "top_k": 0, "top_p": 1.0}}
    if method not in options:
        raise ValueError(f"method={method!r} is unknown; use one of {', '.join(options)}.")
    texts: list[str] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for start in range(0, len(sources), batch_size):
            batch = tokenizer(list(sources[start : start + batch_size]), return_tensors="pt", padding=True)
            batch = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
            ids = model.generate(**batch, max_new_tokens=LONGEST, **options[method])
            texts += [spaced(text) for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
    return texts


@torch.no_grad()
def share_of_she(model: Any, tokenizer: Any, text: Sequence[Pair], batch_size: int = 256) -> np.ndarray:
    """(pairs,) P(she) / (P(she) + P(he)) at the pronoun's place, the words before it given as in the reference."""
    ids = tokenizer.convert_tokens_to_ids(list(PRONOUNS))
    found = []
    for start in range(0, len(text), batch_size):
        part = text[start : start + batch_size]
        batch = tokenizer([pair.source for pair in part], return_tensors="pt", padding=True)
        beginnings = tokenizer([pair.target for pair in part], return_tensors="pt", padding=True)["input_ids"]
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"],
                       decoder_input_ids=beginnings[:, :-1]).logits  # (pairs, target tokens, vocabulary)
        places = torch.tensor([pair.place for pair in part])  # logits at t speak of word t, after [CLS] and t words
        found.append(logits[torch.arange(len(part)), places][:, ids].softmax(-1)[:, 0].numpy())
    return np.concatenate(found).astype(float)


@torch.no_grad()
def words_right(model: Any, tokenizer: Any, text: Sequence[Pair], batch_size: int = 256) -> dict[str, float]:
    """Share of words that are the model's likeliest after the reference's words before them; pronouns are left out.

    fixed: the words that the templates write themselves (is, a, very, person, …); dictionary: names, occupations and
    adjectives.
    """
    fixed = {word for templates in KINDS.values() for template in templates for word in template.target.split()}
    right: dict[str, list[bool]] = {"fixed": [], "dictionary": []}
    for start in range(0, len(text), batch_size):
        part = text[start : start + batch_size]
        batch = finetune.pad(encode(tokenizer, part), tokenizer)
        hits = (model(**batch).logits.argmax(-1) == batch["labels"]).tolist()
        for pair, row in zip(part, hits, strict=True):
            skipped = pair.place if pair.pronoun else None
            for place, word in enumerate(pair.target.split()):
                if place != skipped:
                    right["fixed" if word in {*fixed, "a", "an"} else "dictionary"].append(row[place])
    return {kind: float(np.mean(found)) for kind, found in right.items()}


def both(model: Any, tokenizer: Any, source: str) -> dict[str, str]:
    """The translation with each pronoun: the first word is given, the rest is the model's most likely one."""
    batch = tokenizer([source], return_tensors="pt")
    versions = {}
    for pronoun in PRONOUNS:
        start = torch.tensor([[model.config.decoder_start_token_id, tokenizer.convert_tokens_to_ids(pronoun)]])
        with torch.no_grad():
            ids = model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"],
                                 decoder_input_ids=start, max_new_tokens=LONGEST, do_sample=False, num_beams=1)
        versions[pronoun] = spaced(tokenizer.batch_decode(ids, skip_special_tokens=True)[0])
    return versions


def amplification(true_share: Sequence[float], shown_share: Sequence[float]) -> np.ndarray:
    """(occupations,) by how much the majority's share grows from the truth to what is shown.

    With two genders: shown(g) - true(g) for the gender g with true(g) > 1/2; the mean over occupations is the mean
    bias amplification of Zhao et al. (2017), section 3.
    """
    true, shown = np.asarray(true_share, dtype=float), np.asarray(shown_share, dtype=float)
    return np.where(true > 0.5, shown - true, true - shown)


def calibration(true_share: Sequence[float], model_share: Sequence[float]) -> dict[str, Any]:
    """How the model's P(she) follows the truth: mean distance, correlation and least-squares slope (1 is right).

    Where all true shares are the same there is nothing to follow: r and slope are nan.
    """
    true, model = np.asarray(true_share, dtype=float), np.asarray(model_share, dtype=float)
    error, nothing = float(np.abs(true - model).mean()), float("nan")
    if np.ptp(true) < 1e-9:
        return {"error": error, "r": nothing, "slope": stats.Estimate(nothing, nothing, nothing)}
    return {"error": error, "r": stats.correlation(true, model).value, "slope": stats.slope(true, model)}


def agreement(world: World, text: Sequence[Pair], share: np.ndarray) -> dict[str, float]:
    """Share of right pronouns where a name settles the gender, by whether the occupation's majority has that gender.

    share: the model's P(she) for each pair. stereotype and other: the two accuracies. Stanovsky et al. (2019) report
    such a difference, of F1 scores, for translations from English into languages with grammatical gender.
    """
    right = (share > 0.5) == np.array([pair.gender == "female" for pair in text])
    women = parallel.shares(world)
    usual = np.array([(women[pair.occupation] > 0.5) == (pair.gender == "female") for pair in text])
    return {"stereotype": float(right[usual].mean()), "other": float(right[~usual].mean())}


def report(model: Any, tokenizer: Any, world: World, seed: int, count: int = 1000) -> dict[str, float]:
    """Every score of a translator on fresh text: loss and floor (nats per token), BLEU, chrF, calibration of the
    pronoun, amplification by probabilities and by the most likely word, right pronouns after names."""
    text = parallel.pairs(world, count, seed)
    said = translate(model, tokenizer, [pair.source for pair in text])
    bleu, chrf = scores(said, [pair.target for pair in text])
    occupations, people = parallel.about_occupations(world), parallel.about_people(world, seed)
    true, shown = list(parallel.shares(world).values()), share_of_she(model, tokenizer, occupations)
    found = calibration(true, shown)
    return {
        "loss": finetune.mean_loss(model, tokenizer, encode(tokenizer, text)),
        "floor": parallel.floor_per_token(world, text), "bleu": bleu, "chrf": chrf,
        "error": found["error"], "r": found["r"], "slope": found["slope"].value,
        "amplified_probability": float(amplification(true, shown).mean()),
        "amplified_word": float(amplification(true, shown > 0.5).mean()),
        **agreement(world, people, share_of_she(model, tokenizer, people)),
    }


def scores(translations: Sequence[str], references: Sequence[str]) -> tuple[float, float]:
    """BLEU and chrF of a corpus by sacrebleu (Post 2018), 0 to 100, one reference for each translation.

    Signatures: nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp and nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no.
    """
    from sacrebleu.metrics import BLEU, CHRF  # only notebook 07 needs it

    metrics = BLEU(force=True), CHRF()  # force: no warning that the text has spaces before its full stops
    return tuple(metric.corpus_score(list(translations), [list(references)]).score for metric in metrics)


def bleu_gain(first: Sequence[str], second: Sequence[str], references: Sequence[str], *, resamples: int = 1000,
              seed: int = 0) -> stats.Estimate:
    """BLEU of the first translations minus BLEU of the second, with a paired bootstrap interval (Koehn 2004).

    The sentences are the sample, and the same ones are drawn for both. Corpus BLEU without smoothing, which needs a
    match of every length.
    """
    from sacrebleu.metrics import BLEU

    metric, count = BLEU(force=True, effective_order=True), len(references)
    draws = np.random.default_rng(seed).integers(count, size=(resamples, count))
    times = np.stack([np.ones(count), *(np.bincount(draw, minlength=count) for draw in draws)])  # first: the sample
    bleu = []
    for said in (first, second):
        each = [metric.sentence_score(one, [wanted]) for one, wanted in zip(said, references, strict=True)]
        sums = times @ np.array([[*s.counts, *s.totals, s.sys_len, s.ref_len] for s in each])  # (resamples + 1, 10)
        brevity = np.minimum(1, np.exp(1 - sums[:, 9] / sums[:, 8]))
        bleu.append(100 * brevity * np.exp(np.log(sums[:, :4] / sums[:, 4:8]).mean(1)))
    value, *drawn = bleu[0] - bleu[1]
    return stats.Estimate(float(value), *map(float, np.quantile(drawn, [0.025, 0.975])))
