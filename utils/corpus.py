"""From documents to training batches: tokenizer, masking, sentence pairs, batches without padding.

What BERT reads is made here, in four steps that can each be used alone:

1. a tokenizer (:func:`build_tokenizer` for whole words, :func:`train_wordpiece` for a learner's own text);
2. pairs of sentences, half of them true neighbours (:func:`sentence_pairs`, :func:`pair_indices`);
3. batches of pairs of the same length, so that (almost) no padding is computed (:class:`PairBatches`);
4. masking, drawn anew each time a pair is read (:func:`mask_tokens`).

A *document* is a list of sentences, or any object with an attribute ``sentences``. Everything is a
function of a seed, and a batch is a function of (seed, step) alone: an interrupted training that asks for
step 701 gets what it would have got without the interruption.

Source: Devlin et al. 2019 (arXiv 1810.04805), sections 3.1 and A.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import BertTokenizer

from utils.textfiles import CorpusError, read_documents  # noqa: F401  (part of this module's interface)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # their ids are 0 to 4
IGNORED = -100  # the label of a position that is not scored, as in torch and transformers
IS_NEXT, NOT_NEXT = 0, 1  # next_sentence_label, as in transformers
NOTHING = -1  # the number of the second sentence where there is none
SINGLE_SHARE = 0.15  # of the training texts: one sentence on its own, so that models can read single sentences
SPLIT = (0.8, 0.1, 0.1)  # of the selected tokens: hidden, replaced, kept (Devlin et al., section 3.1)


# ---------------------------------------------------------------------------------------- tokenizers


def build_tokenizer(words: Iterable[str], max_length: int = 128) -> BertTokenizer:
    """A WordPiece tokenizer whose pieces are exactly ``words``, after the five special tokens.

    Every word keeps one id, so a loss over tokens is a loss over words.

    >>> build_tokenizer(["she", "is", "a", "baker", "."])("she is a [MASK] .")["input_ids"]
    [2, 5, 6, 7, 4, 9, 3]

    Raises CorpusError when a word is repeated, special, or would be split or changed by BERT's own
    pre-tokenizer (capitals, accents, punctuation inside a word).
    """
    words = list(words)
    vocabulary = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *words])}
    if len(vocabulary) != len(words) + len(SPECIAL_TOKENS):
        repeated = next(word for word in words if word in SPECIAL_TOKENS or words.count(word) > 1)
        raise CorpusError(f"The word {repeated!r} is listed twice or is a special token; list it once.")
    tokenizer = _bert_tokenizer(vocabulary, max_length)
    encoded = tokenizer(words, add_special_tokens=False)["input_ids"] if words else []
    for word, ids in zip(words, encoded, strict=True):
        if ids != [vocabulary[word]]:
            raise CorpusError(f"The word {word!r} does not survive BERT's pre-tokenizer whole; "
                              "use lower-case words without accents or inner punctuation.")
    return tokenizer


def train_wordpiece(texts: Iterable[str], vocab_size: int, max_length: int = 128,
                    min_frequency: int = 2) -> BertTokenizer:
    """Learn a WordPiece vocabulary of at most ``vocab_size`` entries (special ones too) from sentences.

    ``texts`` are sentences; for files use :func:`read_documents` first. The same text gives the same ids.
    Raises CorpusError when ``vocab_size`` has no room for the text's own characters.
    """
    texts = list(texts)
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=True)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # Ties between merges are broken by ids, and the trainer numbers the pieces "##a", "##b", … in the random
    # order of a hash table. Naming them beforehand, sorted, makes the result the same in every process.
    words = {word for text in texts
             for word, _ in learner.pre_tokenizer.pre_tokenize_str(learner.normalizer.normalize_str(text))}
    inner = sorted({"##" + character for word in words for character in word[1:]})
    trainer = trainers.WordPieceTrainer(vocab_size=vocab_size, min_frequency=min_frequency,
                                        show_progress=False, special_tokens=[*SPECIAL_TOKENS, *inner])
    learner.train_from_iterator(texts, trainer)
    pieces = sorted(set(learner.get_vocab()) - set(SPECIAL_TOKENS))
    if not pieces:
        raise CorpusError("The text has no words to learn a vocabulary from; give text with words in it.")
    if len(pieces) + len(SPECIAL_TOKENS) > vocab_size:
        raise CorpusError(f"A vocabulary of {vocab_size} has no room for the text's single characters alone; "
                          f"ask for more than {len(pieces) + len(SPECIAL_TOKENS)}.")
    vocabulary = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *pieces])}
    return _bert_tokenizer(vocabulary, max_length)


def _bert_tokenizer(vocabulary: dict[str, int], max_length: int) -> BertTokenizer:
    # vocab=, not vocab_file=: transformers 5 ignores the latter without a word and knows five tokens only.
    tokenizer = BertTokenizer(vocab=vocabulary, model_max_length=max_length)
    if len(tokenizer) != len(vocabulary):
        raise CorpusError(f"The tokenizer has {len(tokenizer)} entries instead of {len(vocabulary)}; "
                          "this version of transformers does not take vocab=.")
    return tokenizer


# ------------------------------------------------------------------------------------------- masking


def mask_tokens(input_ids: Tensor, tokenizer: Any, generator: torch.Generator, probability: float = 0.15,
                split: Sequence[float] = SPLIT, whole_word: bool = False,
                word_ids: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """BERT's corruption: choose tokens, hide most of them, and keep the originals as labels.

    Each ordinary token is selected with ``probability``, independently. Of the selected, ``split`` says which
    share becomes [MASK], which a random ordinary token, and which stays as it is. Special tokens are never
    selected and never drawn. With ``whole_word`` the pieces of a word are selected together, each with the
    probability of one word; ``word_ids`` (same shape, any integers that differ between neighbouring words)
    says what belongs together; without it a piece that starts with ``##`` continues the word before it.

    input_ids: (..., sequence) of integers. Returns corrupted input_ids and labels, both of that shape; labels
    hold the original id at selected positions and -100 elsewhere. The input is not changed.
    Source: Devlin et al. 2019, section 3.1; whole words: github.com/google-research/bert, README (2019).
    """
    if not 0 <= probability <= 1 or len(split) != 3 or min(split) < 0 or abs(sum(split) - 1) > 1e-9:
        raise ValueError(f"probability={probability} must lie in [0, 1] and split={split} be three shares "
                         "that sum to 1.")
    pieces = _pieces(tokenizer)
    ordinary = pieces.is_ordinary[input_ids]
    draw = torch.rand(input_ids.shape, generator=generator)
    if whole_word or word_ids is not None:
        draw = draw.gather(-1, _first_of_word(input_ids, ordinary, pieces, word_ids))
    selected = ordinary & (draw < probability)
    labels = torch.where(selected, input_ids, IGNORED)

    fate = torch.rand(input_ids.shape, generator=generator)  # where in [0, 1) decides between the three
    chosen = torch.randint(len(pieces.ordinary_ids), input_ids.shape, generator=generator)
    random_tokens = pieces.ordinary_ids[chosen]
    hidden = selected & (fate < split[0])
    replaced = selected & (fate >= split[0]) & (fate < split[0] + split[1])
    corrupted = torch.where(hidden, pieces.mask_id, torch.where(replaced, random_tokens, input_ids))
    return corrupted, labels


class _Pieces(NamedTuple):
    """What masking must know of a vocabulary, as tensors, computed once per tokenizer."""

    mask_id: int
    ordinary_ids: Tensor  # (ordinary,) every id that is not special
    is_ordinary: Tensor  # (vocabulary,) bool
    continues: Tensor  # (vocabulary,) bool: "##ing" continues a word


def _pieces(tokenizer: Any) -> _Pieces:
    size, cached = len(tokenizer), getattr(tokenizer, "_course_pieces", None)
    if cached is None or len(cached.is_ordinary) != size:  # tokens may have been added since
        is_ordinary = torch.ones(size, dtype=torch.bool)
        is_ordinary[tokenizer.all_special_ids] = False
        tokens = tokenizer.convert_ids_to_tokens(range(size))
        continues = torch.tensor([str(token).startswith("##") for token in tokens])
        cached = _Pieces(tokenizer.mask_token_id, is_ordinary.nonzero().squeeze(-1), is_ordinary, continues)
        tokenizer._course_pieces = cached
    return cached


def _first_of_word(input_ids: Tensor, ordinary: Tensor, pieces: _Pieces, word_ids: Tensor | None) -> Tensor:
    """For each position, the position at which its word begins. (..., sequence) -> (..., sequence)."""
    if word_ids is None:
        begins = ~(pieces.continues[input_ids] & ordinary)
    else:
        begins = torch.ones_like(ordinary)
        begins[..., 1:] = word_ids[..., 1:] != word_ids[..., :-1]
    positions = torch.arange(input_ids.shape[-1]).expand_as(input_ids)
    return torch.where(begins, positions, 0).cummax(-1).values


# -------------------------------------------------------------------------------------------- pairs


class SentencePair(NamedTuple):
    """Two sentences, or one on its own, with the label of the pair."""

    first: str
    second: str | None  # None for a sentence on its own
    label: int  # 0 IsNext, 1 NotNext (for sentence order: 1 swapped), -100 for a sentence on its own


def sentences_of(document: Any) -> list[str]:
    """The sentences of a story or of a list of sentences."""
    return list(getattr(document, "sentences", document))


def sentence_pairs(documents: Sequence[Any], seed: int, kind: str = "nsp",
                   single_share: float = 0.0) -> list[SentencePair]:
    """Every pair of neighbouring sentences, half of them spoiled. Returns a list of SentencePair.

    ``kind="nsp"``: with probability 1/2 the second sentence is replaced by one drawn uniformly from all
    sentences of the *other* documents, whatever its place there (label 1, NotNext; Devlin et al. 2019,
    section 3.1). ``kind="sop"``: with probability 1/2 the two are swapped (label 1; Lan et al. 2020, ALBERT,
    arXiv 1909.11942, section 3.1). ``kind="plain"``: nothing is spoiled. With probability ``single_share`` a
    pair gives way to one sentence on its own, drawn uniformly from all. Raises CorpusError without two
    documents (nsp) or without two neighbouring sentences.
    """
    sentences = [sentence for document in documents for sentence in sentences_of(document)]
    lengths = torch.tensor([len(sentences_of(document)) for document in documents])
    first, second, labels = pair_indices(lengths, generator_for(seed), kind, single_share)
    return [SentencePair(sentences[i], None if j == NOTHING else sentences[j], label)
            for i, j, label in zip(first.tolist(), second.tolist(), labels.tolist(), strict=True)]


def pair_indices(document_lengths: Tensor, generator: torch.Generator, kind: str = "nsp",
                 single_share: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`sentence_pairs` on sentence numbers, counted through all documents: first, second, label (pairs,).

    The second of a sentence on its own is -1 and its label -100.
    """
    if kind not in ("nsp", "sop", "plain"):
        raise ValueError(f"kind={kind!r} is unknown; use 'nsp' (next sentence), 'sop' (order) or 'plain'.")
    total = int(document_lengths.sum())
    ends = document_lengths.cumsum(0)
    document = torch.repeat_interleave(torch.arange(len(document_lengths)), document_lengths)
    first = (torch.arange(total) + 1 != ends[document]).nonzero().squeeze(-1)  # not the last
    if len(first) == 0:
        raise CorpusError("No document has two sentences, so no pair can be built; put one sentence on each "
                          "line and a blank line only between documents.")
    second, spoiled = first + 1, torch.rand(len(first), generator=generator) < 0.5
    if kind == "plain":
        spoiled = torch.zeros_like(spoiled)
    elif kind == "sop":
        first, second = torch.where(spoiled, second, first), torch.where(spoiled, first, second)
    else:
        second = torch.where(spoiled, _elsewhere(document_lengths, document[first], generator), second)
    alone = torch.rand(len(first), generator=generator) < single_share
    anywhere = torch.randint(total, (len(first),), generator=generator)
    return (torch.where(alone, anywhere, first), torch.where(alone, NOTHING, second),
            torch.where(alone, IGNORED, spoiled.long()))


def _elsewhere(document_lengths: Tensor, own: Tensor, generator: torch.Generator) -> Tensor:
    """For each number of a document in ``own``, a sentence drawn uniformly from all other documents."""
    if len(document_lengths) < 2:
        raise CorpusError("There is only one document, so no other can lend a wrong next sentence; separate "
                          "documents by a blank line, or train without next-sentence prediction.")
    length, end = document_lengths[own], document_lengths.cumsum(0)[own]
    others = document_lengths.sum() - length
    drawn = (torch.rand(len(own), generator=generator, dtype=torch.float64) * others).long()
    return drawn + torch.where(drawn >= end - length, length, 0)  # step over the own document


def generator_for(*numbers: int) -> torch.Generator:
    """A random generator that depends on all the numbers (a seed, a purpose, a step) and on nothing else."""
    state = 0
    for number in numbers:  # mix as boost::hash_combine does, so that (1, 2) and (2, 1) differ
        state ^= (number + 0x9E3779B97F4A7C15 + (state << 6) + (state >> 2)) & 0xFFFFFFFFFFFFFFFF
    return torch.Generator().manual_seed(state & 0x7FFFFFFFFFFFFFFF)


# ------------------------------------------------------------------------------------------ batches


@dataclass(frozen=True)
class EncodedCorpus:
    """Documents as numbers: all sentences behind one another, without special tokens."""

    tokens: Tensor  # (tokens,) ids
    starts: Tensor  # (sentences + 1,) where each sentence begins in tokens; the last entry is their end
    document_lengths: Tensor  # (documents,) sentences in each
    truncated: int = 0  # sentences that were longer than allowed and lost their tail


def encode(documents: Sequence[Any], tokenizer: Any, max_sentence_length: int | None = None) -> EncodedCorpus:
    """Tokenise each distinct sentence once, so that nothing is left to tokenise during training."""
    distinct: dict[str, int] = {}
    numbers = [distinct.setdefault(sentence, len(distinct))
               for document in documents for sentence in sentences_of(document)]
    encoded = tokenizer(list(distinct), add_special_tokens=False, return_attention_mask=False,
                        return_token_type_ids=False, verbose=False)["input_ids"] if distinct else []
    limit = max_sentence_length or max(map(len, encoded), default=0)
    too_long = [len(ids) > limit for ids in encoded]
    pieces = [torch.tensor(ids[:limit], dtype=torch.long) for ids in encoded]
    lengths = torch.tensor([len(pieces[number]) for number in numbers], dtype=torch.long)
    nothing = torch.zeros(0, dtype=torch.long)
    return EncodedCorpus(
        tokens=torch.cat([nothing, *(pieces[number] for number in numbers)]),
        starts=torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)]),
        document_lengths=torch.tensor([len(sentences_of(document)) for document in documents]).long(),
        truncated=sum(too_long[number] for number in numbers),
    )


class PairBatches:
    """Batches ``[CLS] first [SEP] second [SEP]`` of equal length, freshly masked; a function of (seed, step).

    In each epoch every pair is used once, with new wrong neighbours. Pairs are shuffled, sorted by length and
    cut into batches, so only the few batches in which two lengths meet are padded (they alone have an
    ``attention_mask``). The batches are then shuffled. What does not fill a batch waits for the next epoch.

    ``batches[step]`` is a dict with transformers' names: input_ids, token_type_ids and labels (the masked
    words), each (batch, sequence), and next_sentence_label (batch,). ``mask=False`` leaves the text
    uncorrupted and labels every token but padding, for causal models.
    """

    def __init__(self, corpus: EncodedCorpus, tokenizer: Any, batch_size: int = 64, seed: int = 0,
                 kind: str = "nsp", mask: bool = True, probability: float = 0.15,
                 whole_word: bool = False, single_share: float = SINGLE_SHARE) -> None:
        self.corpus, self.tokenizer = corpus, tokenizer
        self.batch_size, self.seed, self.kind, self.single_share = batch_size, seed, kind, single_share
        self.mask, self.probability, self.whole_word = mask, probability, whole_word
        self.pairs = len(pair_indices(corpus.document_lengths, generator_for(seed), kind)[0])
        self.steps_per_epoch = self.pairs // batch_size
        if self.steps_per_epoch == 0:
            raise CorpusError(f"The text gives {self.pairs} pairs of sentences, fewer than one batch of "
                              f"{batch_size}; give more text or a smaller batch.")
        self._epoch = -1

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._plan(epoch)
        rows = self._order[place]
        batch = self.assemble(self._first[rows], self._second[rows])
        batch["next_sentence_label"] = self._labels[rows]
        if self.mask:
            batch["input_ids"], batch["labels"] = mask_tokens(
                batch["input_ids"], self.tokenizer, generator_for(self.seed, 2, step), self.probability,
                whole_word=self.whole_word)
        else:
            is_padding = batch["input_ids"] == self.tokenizer.pad_token_id
            batch["labels"] = batch["input_ids"].masked_fill(is_padding, IGNORED)
        return batch

    def _plan(self, epoch: int) -> None:
        generator = generator_for(self.seed, 1, epoch)
        pairs = pair_indices(self.corpus.document_lengths, generator, self.kind, self.single_share)
        self._first, self._second, self._labels = pairs
        lengths = torch.cat([self.corpus.starts.diff(), torch.tensor([-1])])  # [NOTHING] is -1: no second [SEP]
        shuffled = torch.randperm(self.pairs, generator=generator)
        by_length = (lengths[self._first] + lengths[self._second])[shuffled].sort(stable=True).indices
        # Which pairs are left over must not depend on length: begin the cut at a random place.
        spare = self.pairs - self.steps_per_epoch * self.batch_size
        skip = int(torch.randint(spare + 1, (), generator=generator))
        chosen = shuffled[by_length][skip : self.pairs - spare + skip]
        chosen = chosen.view(self.steps_per_epoch, self.batch_size)
        self._order = chosen[torch.randperm(self.steps_per_epoch, generator=generator)]
        self._epoch = epoch

    def assemble(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Sentence numbers (batch,) and (batch,) to input_ids and token_type_ids (batch, sequence)."""
        starts, ids = self.corpus.starts, self.tokenizer
        start_a, length_a = starts[first, None], (starts[first + 1] - starts[first])[:, None]
        start_b, length_b = starts[second, None], (starts[second + 1] - starts[second])[:, None]
        length_b = torch.where(second[:, None] == NOTHING, -1, length_b)  # neither words nor a second [SEP]
        total = length_a + length_b + 3
        position = torch.arange(int(total.max()))[None]
        in_first = position <= length_a + 1  # [CLS], the first sentence, its [SEP]
        source = torch.where(in_first, start_a + position - 1, start_b + position - length_a - 2)
        input_ids = self.corpus.tokens[source.clamp(0, len(self.corpus.tokens) - 1)]
        input_ids[:, 0] = ids.cls_token_id
        input_ids[(position == length_a + 1) | (position == total - 1)] = ids.sep_token_id
        batch = {"input_ids": input_ids, "token_type_ids": (~in_first).long()}
        if int(total.min()) < input_ids.shape[1]:
            inside = position < total
            batch["input_ids"] = torch.where(inside, input_ids, ids.pad_token_id)
            batch["token_type_ids"] = torch.where(inside, batch["token_type_ids"], 0)
            batch["attention_mask"] = inside.long()
        return batch
