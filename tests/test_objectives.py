"""The losses against numbers worked by hand and against torch and transformers."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForPreTraining, GPT2Config, GPT2LMHeadModel

from utils.objectives import causal_loss, mlm_loss, nsp_loss

SMALL = {"vocab_size": 23, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 32}


def random_labels(shape: tuple[int, ...], vocabulary: int, share: float = 0.3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(vocabulary, shape, generator=generator)
    return torch.where(torch.rand(shape, generator=generator) < share, labels, -100)


def test_mlm_loss_by_hand():
    # The truth has probability 1/2 at one scored position and 1/8 at the other; the third is not scored.
    probabilities = torch.tensor([[[0.5, 0.25, 0.25], [0.125, 0.5, 0.375], [0.98, 0.01, 0.01]]])
    loss = mlm_loss(probabilities.log(), torch.tensor([[0, 0, -100]]))
    assert loss.item() == pytest.approx((log(2) + log(8)) / 2, abs=1e-6)


def test_losses_of_a_model_that_knows_nothing():
    assert mlm_loss(torch.zeros(2, 5, 100), torch.full((2, 5), 7)).item() == pytest.approx(log(100), abs=1e-5)
    assert nsp_loss(torch.zeros(4, 2), torch.tensor([0, 1, 1, 0])).item() == pytest.approx(log(2), abs=1e-6)


def test_nsp_loss_by_hand():
    logits = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]).log()
    expected = -(log(0.9) + log(0.8)) / 2
    assert nsp_loss(logits, torch.tensor([0, 1, -100])).item() == pytest.approx(expected, abs=1e-6)


def test_causal_loss_by_hand():
    logits = torch.tensor([[[0.1, 0.9], [0.6, 0.4], [0.5, 0.5]]]).log()
    labels = torch.tensor([[1, 1, 0]])  # scored: the second 1 and the 0; the last logits are unused
    assert causal_loss(logits, labels).item() == pytest.approx(-(log(0.9) + log(0.6)) / 2, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_mlm_loss_and_its_gradient_equal_torch(seed):
    logits = torch.randn(3, 7, 23, generator=torch.Generator().manual_seed(seed), requires_grad=True)
    labels = random_labels((3, 7), 23)
    ours, theirs = mlm_loss(logits, labels), cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert abs(ours - theirs) < 1e-6
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-7, rtol=1e-5)


def test_sum_of_both_equals_bert_for_pretraining():
    torch.manual_seed(0)
    model = BertForPreTraining(BertConfig(**SMALL)).eval()
    input_ids, labels = torch.randint(23, (4, 9)), random_labels((4, 9), 23)
    order = torch.tensor([0, 1, 1, 0])
    output = model(input_ids, labels=labels, next_sentence_label=order)
    ours = mlm_loss(output.prediction_logits, labels) + nsp_loss(output.seq_relationship_logits, order)
    assert abs(ours - output.loss) < 1e-6


def test_causal_loss_equals_gpt2():
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=23, n_embd=16, n_layer=1, n_head=2, n_positions=16,
                                       bos_token_id=2, eos_token_id=3)).eval()
    input_ids = torch.randint(23, (4, 9))
    labels = input_ids.masked_fill(torch.arange(9) > torch.tensor([8, 5, 6, 8])[:, None], -100)
    output = model(input_ids, labels=labels)
    assert abs(causal_loss(output.logits, labels) - output.loss) < 1e-6


def test_a_batch_with_nothing_scored_gives_zero_and_zero_gradient():
    for loss, logits, labels in [(mlm_loss, torch.randn(2, 3, 5), torch.full((2, 3), -100)),
                                 (nsp_loss, torch.randn(2, 2), torch.full((2,), -100)),
                                 (causal_loss, torch.randn(2, 3, 5), torch.full((2, 3), -100))]:
        logits.requires_grad_(True)
        value = loss(logits, labels)
        value.backward()
        assert value.item() == 0 and (logits.grad == 0).all()
