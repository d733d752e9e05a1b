"""Tokenizer, masking, pairs, batches: exact where that is possible, else within known sampling error."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from transformers import AutoTokenizer, BertTokenizer

from tests.toy import toy_documents, toy_words
from utils import corpus
from utils.corpus import IGNORED, CorpusError


@pytest.fixture(scope="module")
def tokenizer():
    return corpus.build_tokenizer(toy_words())


# ---------------------------------------------------------------------------------------- tokenizers


def test_special_tokens_come_first_and_every_word_is_one_token(tokenizer):
    assert tokenizer.convert_ids_to_tokens(range(5)) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.convert_ids_to_tokens(range(5, len(tokenizer))) == toy_words()
    text = "ann is a baker from york ."
    assert tokenizer.tokenize(text) == text.split()


def test_pair_is_encoded_as_bert_expects(tokenizer):
    encoded = tokenizer("ann is a [MASK] .", "ben likes york .")
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert tokens == "[CLS] ann is a [MASK] . [SEP] ben likes york . [SEP]".split()
    assert encoded["token_type_ids"] == [0] * 7 + [1] * 5


@pytest.mark.parametrize("reader", [AutoTokenizer, BertTokenizer])
def test_tokenizer_survives_saving(tokenizer, tmp_path, reader):
    tokenizer.save_pretrained(tmp_path)
    again = reader.from_pretrained(tmp_path)
    assert len(again) == len(tokenizer) and again.get_vocab() == tokenizer.get_vocab()
    pair = "eva is a nurse .", "tom ."
    assert again(*pair)["input_ids"] == tokenizer(*pair)["input_ids"]
    assert again.model_max_length == tokenizer.model_max_length


@pytest.mark.parametrize("words", [["ann", "ann"], ["[MASK]"], ["Ann"], ["o'clock"], ["café"], ["two words"]])
def test_words_that_cannot_be_one_token_are_refused(words):
    with pytest.raises(CorpusError, match="word"):
        corpus.build_tokenizer(words)


def test_trained_wordpiece_splits_rare_words_and_knows_every_character(tmp_path):
    texts = [line for document in toy_documents(50) for line in document]
    learned = corpus.train_wordpiece(texts, vocab_size=70)
    assert len(learned) <= 70
    assert learned.convert_ids_to_tokens(range(5)) == list(corpus.SPECIAL_TOKENS)
    assert learned.unk_token_id not in learned(texts[0])["input_ids"]
    assert any(piece.startswith("##") for piece in learned.tokenize("farmers"))
    learned.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).get_vocab() == learned.get_vocab()


def test_the_same_text_gives_the_same_pieces():
    texts = [line for document in toy_documents(80) for line in document]
    runs = {tuple(sorted(corpus.train_wordpiece(texts, 90).get_vocab().items())) for _ in range(20)}
    assert len(runs) == 1  # the tokenizers library alone gives several answers here


def test_wordpiece_refuses_empty_text_and_too_small_a_vocabulary():
    with pytest.raises(CorpusError, match="no words"):
        corpus.train_wordpiece(["   "], 100)
    with pytest.raises(CorpusError, match="more than"):
        corpus.train_wordpiece(["abcdefghij klmnop"] * 3, 12)


# ------------------------------------------------------------------------------------------- masking


def many_tokens(tokenizer, rows: int = 4000) -> torch.Tensor:
    """(rows, 14): [CLS] 6 words [SEP] 4 words [SEP] [PAD], the words drawn uniformly."""
    words = torch.randint(5, len(tokenizer), (rows, 14), generator=torch.Generator().manual_seed(3))
    words[:, 0], words[:, 7], words[:, 12], words[:, 13] = 2, 3, 3, 0
    return words


def test_masking_rates_are_15_and_80_10_10(tokenizer):
    original = many_tokens(tokenizer)
    before = original.clone()
    corrupted, labels = corpus.mask_tokens(original, tokenizer, corpus.generator_for(0))
    assert torch.equal(original, before)
    ordinary, selected = original >= 5, labels != IGNORED
    assert not selected[~ordinary].any() and torch.equal(corrupted[~selected], original[~selected])
    assert torch.equal(labels[selected], original[selected])
    n = int(ordinary.sum())
    assert abs(selected.sum() / n - 0.15) < 4 * (0.15 * 0.85 / n) ** 0.5
    chosen, words = corrupted[selected], len(tokenizer) - 5
    tolerance = 4 * (0.8 * 0.2 / len(chosen)) ** 0.5
    assert abs((chosen == 4).float().mean() - 0.8) < tolerance
    assert abs((chosen == original[selected]).float().mean() - (0.1 + 0.1 / words)) < tolerance
    assert set(chosen.tolist()) == {4, *range(5, len(tokenizer))}  # every word, no other special token


def test_masking_depends_on_the_generator_alone(tokenizer):
    ids = many_tokens(tokenizer, 20)
    first, again, other = (corpus.mask_tokens(ids, tokenizer, corpus.generator_for(s))[0] for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("split", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_split_is_obeyed(tokenizer, split):
    ids = many_tokens(tokenizer, 200)
    corrupted, labels = corpus.mask_tokens(ids, tokenizer, corpus.generator_for(0), 0.5, split)
    chosen = corrupted[labels != IGNORED]
    if split[0]:
        assert (chosen == 4).all()
    elif split[1]:
        assert (chosen >= 5).all() and (chosen != ids[labels != IGNORED]).float().mean() > 0.9
    else:
        assert torch.equal(corrupted, ids)


def test_probability_0_and_1(tokenizer):
    ids = many_tokens(tokenizer, 10)
    assert (corpus.mask_tokens(ids, tokenizer, corpus.generator_for(0), 0.0)[1] == IGNORED).all()
    all_labels = corpus.mask_tokens(ids, tokenizer, corpus.generator_for(0), 1.0)[1]
    assert torch.equal(all_labels != IGNORED, ids >= 5)
    with pytest.raises(ValueError, match="sum to 1"):
        corpus.mask_tokens(ids, tokenizer, corpus.generator_for(0), split=(0.8, 0.1, 0.2))


def test_whole_words_are_selected_together():
    pieces = corpus.build_tokenizer(["un", "play", "kind"])
    vocabulary = {**pieces.get_vocab(), "##able": 8, "##s": 9}
    pieces = BertTokenizer(vocab=vocabulary)
    row = torch.tensor([2, 5, 6, 8, 9, 7, 9, 3])  # [CLS] un play ##able ##s kind ##s [SEP]
    words = [[1], [2, 3, 4], [5, 6]]
    ids = row.repeat(6000, 1)
    labels = corpus.mask_tokens(ids, pieces, corpus.generator_for(0), 0.3, whole_word=True)[1]
    by_number = corpus.mask_tokens(ids, pieces, corpus.generator_for(0), 0.3,
                                   word_ids=torch.tensor([-1, 0, 1, 1, 1, 2, 2, -1]).expand_as(ids))[1]
    assert torch.equal(labels, by_number)
    selected = labels != IGNORED
    assert not selected[:, [0, 7]].any()
    for word in words:
        together = selected[:, word]
        assert (together.all(1) == together.any(1)).all()
        assert abs(together[:, 0].float().mean() - 0.3) < 4 * (0.21 / 6000) ** 0.5
    separate = corpus.mask_tokens(ids, pieces, corpus.generator_for(0), 0.3)[1] != IGNORED
    assert not (separate[:, [2, 3, 4]].all(1) == separate[:, [2, 3, 4]].any(1)).all()


# -------------------------------------------------------------------------------------------- pairs


def test_pairs_are_neighbours_or_from_another_document():
    documents = [[f"d{d} s{s}" for s in range(2 + d % 4)] for d in range(300)]
    pairs = corpus.sentence_pairs(documents, seed=0)
    assert len(pairs) == sum(len(document) - 1 for document in documents)
    neighbours = {pair for document in documents for pair in pairwise(document)}
    for pair in pairs:
        if pair.label == corpus.IS_NEXT:
            assert (pair.first, pair.second) in neighbours
        else:
            assert pair.first.split()[0] != pair.second.split()[0]
    rate = sum(pair.label for pair in pairs) / len(pairs)
    assert abs(rate - 0.5) < 4 * (0.25 / len(pairs)) ** 0.5
    assert corpus.sentence_pairs(documents, 0) == pairs != corpus.sentence_pairs(documents, 1)


def test_wrong_neighbours_are_uniform_over_the_other_sentences():
    documents = [["a0", "a1", "a2"], ["b0", "b1"], ["c0"]]
    counts: dict[str, dict[str, int]] = {}
    for seed in range(4000):
        for pair in corpus.sentence_pairs(documents, seed):
            if pair.label == corpus.NOT_NEXT:
                seen = counts.setdefault(pair.first, {})
                seen[pair.second] = seen.get(pair.second, 0) + 1
    assert set(counts) == {"a0", "a1", "b0"} and set(counts["a0"]) == {"b0", "b1", "c0"}
    assert set(counts["b0"]) == {"a0", "a1", "a2", "c0"}
    for seen in counts.values():
        expected = sum(seen.values()) / len(seen)
        assert sum((n - expected) ** 2 / expected for n in seen.values()) < 16.3  # chi-square, 3 df, p 0.001


def test_sentence_order_pairs_are_swapped_half_the_time():
    documents = [["1", "2", "3"], ["4", "5"]] * 100
    pairs = corpus.sentence_pairs(documents, seed=0, kind="sop")
    in_order = {("1", "2"), ("2", "3"), ("4", "5")}
    assert all(((p.second, p.first) if p.label else (p.first, p.second)) in in_order for p in pairs)
    assert 100 < sum(p.label for p in pairs) < 200
    assert all(p.label == 0 for p in corpus.sentence_pairs(documents, 0, "plain"))


def test_single_sentences_take_the_place_of_some_pairs(tokenizer):
    documents = [[f"d{d} s{s}" for s in range(2 + d % 3)] for d in range(2000)]
    pairs = corpus.sentence_pairs(documents, seed=0, single_share=0.2)
    single = [pair for pair in pairs if pair.second is None]
    assert all(pair.label == IGNORED for pair in single)
    assert all(pair.label in (0, 1) for pair in pairs if pair.second is not None)
    assert abs(len(single) / len(pairs) - 0.2) < 4 * (0.16 / len(pairs)) ** 0.5
    last = {document[-1] for document in documents}  # never first in a pair, but found among the single ones
    assert abs(sum(pair.first in last for pair in single) / len(single) - 1 / 3) < 0.06


def test_pairs_that_cannot_be_built_are_refused():
    with pytest.raises(CorpusError, match="one document"):
        corpus.sentence_pairs([["a", "b"]], 0)
    assert len(corpus.sentence_pairs([["a", "b"]], 0, "sop")) == 1
    with pytest.raises(CorpusError, match="two sentences"):
        corpus.sentence_pairs([["a"], ["b"]], 0)
    with pytest.raises(ValueError, match="unknown"):
        corpus.sentence_pairs([["a", "b"]], 0, "other")


# ------------------------------------------------------------------------------------------ batches


def test_batches_equal_the_tokenizers_own_encoding(tokenizer):
    documents = toy_documents(40)
    encoded = corpus.encode(documents, tokenizer)
    lines = [line for document in documents for line in document]
    batches = corpus.PairBatches(encoded, tokenizer, batch_size=8)
    first, second, _ = corpus.pair_indices(encoded.document_lengths, corpus.generator_for(1))
    built = batches.assemble(first, second)
    texts = [lines[i] for i in first], [lines[j] for j in second]
    expected = tokenizer(*texts, padding=True, return_tensors="pt")
    for key in ("input_ids", "token_type_ids", "attention_mask"):
        assert torch.equal(built[key], expected[key]), key
    single = batches.assemble(first, torch.full_like(first, corpus.NOTHING))
    expected = tokenizer(texts[0], padding=True, return_tensors="pt")
    for key in ("input_ids", "token_type_ids", "attention_mask"):
        assert torch.equal(single[key], expected[key]), key


def test_an_epoch_uses_every_pair_once_almost_without_padding(tokenizer):
    documents = toy_documents(400)
    encoded = corpus.encode(documents, tokenizer)
    batches = corpus.PairBatches(encoded, tokenizer, batch_size=16, seed=4, single_share=0.1)
    seen, padded = 0, 0
    for step in range(batches.steps_per_epoch):
        batch = batches[step]
        seen += len(batch["input_ids"])
        padded += "attention_mask" in batch
        names = {"input_ids", "token_type_ids", "labels", "next_sentence_label"}
        assert set(batch) - {"attention_mask"} == names
    assert batches.pairs - 16 < seen <= batches.pairs
    used = torch.cat([batches._order.flatten()])
    assert len(used.unique()) == len(used)
    assert padded <= 16  # at most one for each boundary between lengths


def test_a_batch_is_a_function_of_seed_and_step(tokenizer):
    encoded = corpus.encode(toy_documents(60), tokenizer)
    one, two = (corpus.PairBatches(encoded, tokenizer, 8, seed=5) for _ in range(2))
    last = 3 * one.steps_per_epoch + 1
    for step in range(last):
        straight = one[step]
    for key, value in two[last - 1].items():  # asked for directly, as a resumed training does
        assert torch.equal(value, straight[key])
    other = corpus.PairBatches(encoded, tokenizer, 8, seed=6)[last - 1]["input_ids"]
    assert other.shape != straight["input_ids"].shape or not torch.equal(other, straight["input_ids"])
    assert not torch.equal(one[0]["input_ids"], one[one.steps_per_epoch]["input_ids"])


def test_batches_for_causal_models_are_uncorrupted(tokenizer):
    batches = corpus.PairBatches(corpus.encode(toy_documents(60), tokenizer), tokenizer, 8, mask=False)
    for step in range(batches.steps_per_epoch):
        batch = batches[step]
        assert tokenizer.mask_token_id not in batch["input_ids"]
        kept = batch["input_ids"] != tokenizer.pad_token_id
        assert torch.equal(batch["labels"][kept], batch["input_ids"][kept])
        assert (batch["labels"][~kept] == IGNORED).all()


def test_long_sentences_are_cut_and_counted(tokenizer):
    encoded = corpus.encode([["ann likes york .", "ann is a baker from york ."]] * 2, tokenizer, 5)
    assert encoded.truncated == 2 and encoded.starts.diff().tolist() == [4, 5, 4, 5]
    with pytest.raises(CorpusError, match="fewer than one batch"):
        corpus.PairBatches(encoded, tokenizer, 64)


# --------------------------------------------------------------------------------------- text files


def test_documents_are_read_with_any_line_ends_and_byte_order_mark(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffOne  line .\r\nTwo ü .\r\n \r\n\r\nThree .".encode())
    (tmp_path / "b.txt").write_text("Four .\n")
    read = corpus.read_documents([tmp_path / "a.txt", tmp_path / "b.txt"])
    assert read == [["One line .", "Two ü ."], ["Three ."], ["Four ."]]


@pytest.mark.parametrize(("content", "message"), [
    (b"", "no text"), (b" \n\n \n", "no text"), (b"\x89PNG\x00\x01", "binary"),
    ("ok\ncafé".encode("latin-1"), "not UTF-8 .first at line 2"), (None, "cannot be read")])
def test_unusable_files_are_named_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=message) as caught:
        corpus.read_documents([path])
    assert "text.txt" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(CorpusError, match="cannot be read"):
        corpus.read_documents([tmp_path])  # a folder
