"""The distance to the floor: zero for the exact answers, known for a model that knows nothing, rightly aligned."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForPreTraining, GPT2Config, GPT2LMHeadModel

from utils import evaluate
from utils.corpus import build_tokenizer
from utils.world import World, exams


@pytest.fixture(scope="module")
def world() -> World:
    return World("small")


@pytest.fixture(scope="module")
def tokenizer(world):
    return build_tokenizer(world.vocabulary)


@pytest.fixture(scope="module")
def exam(world):
    return world.exam(documents=30, seed=9)


@pytest.fixture(scope="module")
def bert(tokenizer):
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=64, initializer_range=1.0)
    return BertForPreTraining(config).eval()


class Even(torch.nn.Module):
    """A model that finds every token equally likely."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.config = size, SimpleNamespace(type_vocab_size=2)
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, input_ids, token_type_ids=None):
        return {"prediction_logits": torch.zeros(*input_ids.shape, self.size),
                "seq_relationship_logits": torch.zeros(len(input_ids), 2)}


def test_a_model_that_knows_nothing_has_a_known_distance(world, tokenizer, exam):
    mlm, nsp = evaluate.gap(Even(len(tokenizer)), tokenizer, exam)
    log_p = np.log(np.where(exam.answers > 0, exam.answers, 1))
    entropy = -(exam.answers * log_p).sum(1).mean()
    assert mlm.kl == pytest.approx(np.log(len(tokenizer)) - entropy, abs=1e-5)
    assert mlm.loss == pytest.approx(np.log(len(tokenizer)), abs=1e-5)
    assert mlm.floor == pytest.approx(exam.mlm_floor()[0], abs=1e-9)
    p = exam.next_answer[~np.isnan(exam.next_answer)]
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()
    assert nsp.kl == pytest.approx(np.log(2) - entropy, abs=1e-6)
    assert nsp.loss == pytest.approx(np.log(2), abs=1e-6)
    assert nsp.floor == pytest.approx(exam.nsp_floor()[0], abs=1e-9)


def test_the_exact_answers_have_distance_zero(exam):
    with np.errstate(divide="ignore"):
        gap = evaluate._gap(exam.answers, np.maximum(np.log(exam.answers), -800), exam.target,
                            exam.document[exam.asked[:, 0]])
    assert gap.kl == pytest.approx(0, abs=1e-12) and gap.loss == pytest.approx(gap.floor)


def test_answers_are_read_at_the_right_place(world, tokenizer, exam, bert):
    """Each row equals the model's own answer when the text goes through the tokenizer by itself."""
    words, is_next = evaluate.answers(bert, tokenizer, exam)
    vocabulary = [*world.vocabulary, "[MASK]"]  # id -1 picks the last entry
    for row in range(0, len(exam.asked), 7):
        text, sentence, position = exam.asked[row]
        parts = [" ".join(vocabulary[w] for w in part) for part in exam.shown[text]]
        batch = tokenizer(*parts, return_tensors="pt")
        place = 1 + position + (len(exam.shown[text][0]) + 1 if sentence else 0)
        with torch.no_grad():
            output = bert(**batch)
        expected = torch.log_softmax(output.prediction_logits[0, place], -1)
        np.testing.assert_allclose(words[row], expected.numpy(), atol=1e-4)
        if len(parts) == 2:
            relation = torch.log_softmax(output.seq_relationship_logits[0], -1)[0]
            assert is_next[text] == pytest.approx(float(relation), abs=1e-4)
    assert np.isnan(is_next).sum() == sum(len(s) == 1 for s in exam.shown)


def test_loss_is_floor_plus_distance_on_average(world, tokenizer, bert):
    """loss - floor - KL is luck: within four of its own standard errors of zero."""
    exam = world.exam(documents=120, seed=3)
    words, _ = evaluate.answers(bert, tokenizer, exam)
    log_q, rows = words[:, 5:], np.arange(len(exam.target))
    log_p = np.log(np.where(exam.answers > 0, exam.answers, 1))
    luck = log_p[rows, exam.target] - log_q[rows, exam.target] - (exam.answers * (log_p - log_q)).sum(1)
    mean, error = exams.clustered_mean(luck, exam.document[exam.asked[:, 0]])
    assert abs(mean) < 4 * error


def test_causal_distance(world, tokenizer):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=64)
    model = GPT2LMHeadModel(config).eval()
    gap = evaluate.causal_gap(model, tokenizer, world, documents=8, seed=4)
    assert gap.floor == pytest.approx(world.causal_floor(8, 4)[0], abs=1e-9)
    losses, count = 0.0, 0
    for document in world.documents(8, 4):
        for pair in zip(document.sentences, document.sentences[1:], strict=False):
            ids = tokenizer(*pair, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                log_q = torch.log_softmax(model(input_ids=ids).logits[0, :-1], -1)
            words = ids[0, 1:] > 4
            losses -= float(log_q[words, ids[0, 1:][words]].sum())
            count += int(words.sum())
    assert gap.loss == pytest.approx(losses / count, abs=1e-4) and gap.count == count
    assert gap.kl > 3


def test_shares_of_the_loss_add_up(world, tokenizer, exam, bert):
    table = evaluate.by_kind(bert, tokenizer, world, exam)
    gap, _ = evaluate.gap(bert, tokenizer, exam)
    assert table["kl_share"].sum() == pytest.approx(gap.kl, abs=1e-5)
    assert table["questions"].sum() == len(exam.target)
    kinds = dict(zip(world.vocabulary, evaluate.kinds_of_words(world), strict=True))
    assert kinds["she"] == "pronouns" and kinds["zelmar"] == "towns, communities" and kinds["was"] == "fixed words"


def test_share_of_she_is_exact_for_the_world(world, tokenizer, bert):
    table = evaluate.share_of_she(bert, tokenizer, world)
    assert dict(zip(table["occupation"], table["exact"], strict=True)) == pytest.approx(world.share_of_she())
    ids = tokenizer("the baker said that [MASK] was happy .")["input_ids"]
    with torch.no_grad():
        logits = bert(torch.tensor([ids])).prediction_logits[0, ids.index(tokenizer.mask_token_id)]
    she, he = logits.softmax(-1)[tokenizer.convert_tokens_to_ids(["she", "he"])].tolist()
    assert table.set_index("occupation")["model"]["baker"] == pytest.approx(she / (she + he), abs=1e-6)


def test_a_padded_batch_asks_the_same_questions(world, tokenizer, bert):
    """Its loss equals the mean surprise of `answers` on the same exam."""
    exam = world.exam(documents=20, seed=5, single_share=1.0)
    batch, clean, labels = evaluate.padded(exam, list(range(len(exam.shown))), tokenizer)
    with torch.no_grad():
        logits = bert(**batch).prediction_logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    gap, _ = evaluate.gap(bert, tokenizer, exam)
    assert float(loss) == pytest.approx(gap.loss, abs=1e-4)
    written = [world.vocabulary[w] for w in exam.written[3][0]]
    assert tokenizer.convert_ids_to_tokens(clean[3])[1 : len(written) + 1] == written
