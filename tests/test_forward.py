"""The course's forward pass gives transformers' numbers, and its gradients."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining, RobertaConfig, RobertaForMaskedLM

from utils.forward import scored_logits
from utils.objectives import IGNORED, mlm_loss, nsp_loss

SIZES = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 64, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
         "max_position_embeddings": 40, "pad_token_id": 0, "initializer_range": 0.2}
MODELS = {"pretraining": (BertForPreTraining, BertConfig), "masked": (BertForMaskedLM, BertConfig),
          "roberta": (RobertaForMaskedLM, RobertaConfig)}


def model_and_batch(kind: str, padded: bool, scored: float = 0.2):
    torch.manual_seed(0)
    make, config = MODELS[kind]
    model = make(config(**SIZES)).train()
    ids = torch.randint(5, 50, (6, 17))
    labels = ids.where(torch.rand(ids.shape) < scored, IGNORED)
    batch = {"input_ids": ids, "labels": labels}
    if kind != "roberta":
        batch["token_type_ids"] = (torch.arange(17) > 8).long().repeat(6, 1)
    if padded:
        keep = torch.arange(17) < torch.tensor([17, 12, 15, 17, 9, 16])[:, None]
        batch = {name: tensor.where(keep, IGNORED if name == "labels" else 0) for name, tensor in batch.items()}
        batch["attention_mask"] = keep.long()
    return model, batch


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_logits_equal_the_models_own(kind, padded):
    model, batch = model_and_batch(kind, padded)
    words, labels, pairs = scored_logits(model, batch)
    output = model(**{name: tensor for name, tensor in batch.items() if name != "labels"})
    all_words = output.prediction_logits if kind == "pretraining" else output.logits
    scored = batch["labels"] != IGNORED
    torch.testing.assert_close(words, all_words[scored], atol=1e-5, rtol=1e-5)
    assert torch.equal(labels, batch["labels"][scored])
    if kind == "pretraining":
        torch.testing.assert_close(pairs, output.seq_relationship_logits, atol=1e-5, rtol=1e-5)
    else:
        assert pairs is None


def test_gradients_equal_the_models_own():
    model, batch = model_and_batch("pretraining", padded=True)
    order = torch.tensor([0, 1, 1, IGNORED, 0, 1])
    words, labels, pairs = scored_logits(model, batch)
    (mlm_loss(words, labels) + nsp_loss(pairs, order)).backward()
    ours = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    model(**batch, next_sentence_label=order).loss.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(ours[name], parameter.grad, atol=1e-5, rtol=1e-4, msg=name)


def test_a_batch_without_scored_words_still_trains_the_pairs():
    model, batch = model_and_batch("pretraining", padded=False, scored=0.0)
    words, labels, pairs = scored_logits(model, batch)
    assert words.shape == (0, 50) and mlm_loss(words, labels) == 0
    (mlm_loss(words, labels) + nsp_loss(pairs, torch.ones(6, dtype=torch.long))).backward()
    assert model.bert.pooler.dense.weight.grad.abs().sum() > 0
