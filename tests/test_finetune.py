"""The fine-tuning loop: repeatable, no example lost, the best weights kept, held against torch and transformers."""

from __future__ import annotations

import io
import math
import sys

import numpy as np
import pytest
import torch
import transformers

from tests import bench_finetuning
from tests.tiny_models import TINY, WORDS
from utils import finetune as ft
from utils.finetune import Settings, encode, finetune, pad, predict

POSITIVE, NEGATIVE = "she sings a baker .", "he sings a baker ."


def tiny(kind: str = "BertForSequenceClassification", dropout: float = 0.0, seed: int = 0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, hidden_dropout_prob=dropout,
                                         attention_probs_dropout_prob=dropout, **TINY, **options)
        return getattr(transformers, kind)(config).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)})


@pytest.fixture(scope="module")
def examples(tokenizer):
    """Sixty texts of unequal length; the label is whether the last pronoun is 'she'."""
    random = np.random.default_rng(0)
    labels = random.integers(2, size=60).tolist()
    texts = [" ".join(["a baker sings ."] * random.integers(0, 4) + [POSITIVE if y else NEGATIVE]) for y in labels]
    return encode(tokenizer, texts, labels)


def weights(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def run(model, tokenizer, *arguments, **settings):
    return finetune(model, tokenizer, *arguments, progress=False, **settings)


# --- repeatable -----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_stream_alone(tokenizer, examples):
    state = torch.get_rng_state()
    runs = [run(tiny(dropout=0.1), tokenizer, examples, epochs=1, learning_rate=1e-3, seed=s) for s in (0, 0, 1)]
    assert torch.equal(weights(runs[0].model), weights(runs[1].model)) and runs[0].losses == runs[1].losses
    assert not torch.equal(weights(runs[0].model), weights(runs[2].model))
    assert torch.equal(torch.get_rng_state(), state)
    assert not runs[0].model.training


def test_each_epoch_reads_every_example_once_in_another_order(examples):
    settings = Settings(batch_size=7)
    epochs = [ft.order_of_epoch(examples, settings, epoch) for epoch in (0, 1)]
    for batches in epochs:
        assert sorted(row for batch in batches for row in batch) == list(range(len(examples)))
        assert len(batches) == math.ceil(len(examples) / 7)
    assert epochs[0] != epochs[1]
    assert epochs[0] != ft.order_of_epoch(examples, Settings(batch_size=7, seed=1), 0)


def test_batches_hold_texts_of_like_length(tokenizer):
    random = np.random.default_rng(1)
    some = [{"input_ids": [5] * int(n)} for n in random.integers(2, 60, size=400)]
    padded = sum(len(b) * max(len(some[r]["input_ids"]) for r in b) for b in ft.order_of_epoch(some, Settings(), 0))
    assert padded < 1.25 * sum(len(example["input_ids"]) for example in some)  # without grouping: 1.8


def test_steps_count_instead_of_epochs(tokenizer, examples):
    result = run(tiny(), tokenizer, examples, steps=9, learning_rate=1e-3)
    assert len(result.losses) == 9 == result.settings.steps == result.best_step
    assert len(run(tiny(), tokenizer, examples, epochs=2, batch_size=16).losses) == 8


# --- learning, looking and stopping ---------------------------------------------------------------------------------


def test_it_learns(tokenizer, examples):
    result = run(tiny(), tokenizer, examples, epochs=30, learning_rate=5e-3)
    labels = [example["labels"] for example in examples]
    right = ft.accuracy(predict(result.model, tokenizer, examples).argmax(-1), labels)
    assert right.value == 1.0
    assert np.mean(result.losses[-5:]) < 0.1 < result.losses[0]


def test_the_first_step_is_torchs_own_adamw(tokenizer, examples):
    """By hand: one step on one batch; biases and LayerNorm are not decayed, and the gradient is clipped."""
    ours, by_hand = tiny(), tiny()
    run(ours, tokenizer, examples[:8], steps=1, batch_size=8, learning_rate=1e-2, warmup=0.0, weight_decay=0.1,
        largest_gradient=0.5)
    decayed = [w for name, w in by_hand.named_parameters() if "bias" not in name and "LayerNorm" not in name]
    rest = [w for name, w in by_hand.named_parameters() if "bias" in name or "LayerNorm" in name]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0}], 1e-2)
    by_hand.train()(**pad(examples[:8], tokenizer)).loss.backward()
    torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 0.5)
    optimizer.step()
    assert torch.allclose(weights(ours), weights(by_hand), atol=1e-5)


def test_the_weights_of_the_best_look_are_kept(tokenizer, examples):
    scores, seen = iter([0.2, 0.9, 0.9, 0.4]), []

    def score(model):
        seen.append(weights(model).clone())
        return next(scores)

    result = run(tiny(), tokenizer, examples, score, epochs=4, learning_rate=1e-3)
    assert [look["score"] for look in result.looks] == [0.2, 0.9, 0.9, 0.4]
    assert result.best_step == 8  # the second look, four steps an epoch; an equal score later does not replace it
    assert torch.equal(weights(result.model), seen[1]) and not torch.equal(seen[1], seen[3])


@pytest.mark.parametrize(("patience", "looks"), [(0, 6), (1, 3), (2, 4), (3, 5), (4, 6)])
def test_patience_counts_looks_without_a_better_score(tokenizer, examples, patience, looks):
    scores = iter([0.1, 0.2, 0.15, 0.2, 0.19, 0.3])  # the best so far comes second; an equal score is no better
    result = run(tiny(), tokenizer, examples, lambda model: next(scores), steps=12, evaluate_every=2, patience=patience)
    assert len(result.looks) == looks
    assert len(result.losses) == 2 * looks


def test_validation_examples_are_watched_by_their_loss(tokenizer, examples):
    result = run(tiny(dropout=0.1), tokenizer, examples[:40], examples[40:], epochs=3, learning_rate=1e-3)
    best = max(look["score"] for look in result.looks)
    assert -ft.mean_loss(result.model, tokenizer, examples[40:]) == pytest.approx(best, abs=1e-6)


# --- padding, labels, answers ---------------------------------------------------------------------------------------


def test_padding(tokenizer):
    batch = pad([{"input_ids": [2, 5, 3], "attention_mask": [1, 1, 1], "labels": [-100, 4, -100], "weight": 2},
                 {"input_ids": [2, 3], "attention_mask": [1, 1], "labels": [1, 1], "weight": 3}], tokenizer)
    assert batch["input_ids"].tolist() == [[2, 5, 3], [2, 3, tokenizer.pad_token_id]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["labels"].tolist() == [[-100, 4, -100], [1, 1, -100]]
    assert batch["weight"].tolist() == [2, 3]


def test_padding_changes_no_answer_and_the_order_is_kept(tokenizer, examples):
    model = tiny()
    together = predict(model, tokenizer, examples, batch_size=13)
    alone = np.concatenate([predict(model, tokenizer, [example]) for example in examples])
    assert together.shape == (60, 2) and np.allclose(together, alone, atol=1e-5)
    words = predict(tiny("BertForTokenClassification", num_labels=3), tokenizer, examples)
    assert [w.shape for w in words] == [(len(example["input_ids"]), 3) for example in examples]
    assert predict(model, tokenizer, []) == []


def test_mean_loss_counts_scored_labels_only(tokenizer):
    model = tiny("BertForTokenClassification", num_labels=3)
    some = [{"input_ids": [2, *[5] * n, 3], "labels": [-100, *[n % 3] * n, -100]} for n in range(0, 9)]
    for example in some:
        example["attention_mask"] = [1] * len(example["input_ids"])
    price = []
    for example, logits in zip(some, predict(model, tokenizer, some), strict=True):
        log_q = torch.tensor(logits).log_softmax(-1)
        price += [-log_q[i, y].item() for i, y in enumerate(example["labels"]) if y != -100]
    assert ft.mean_loss(model, tokenizer, some, batch_size=2) == pytest.approx(np.mean(price), abs=1e-5)
    assert ft.mean_loss(model, tokenizer, some, batch_size=1) == pytest.approx(np.mean(price), abs=1e-5)
    with pytest.raises(ValueError, match="None of the 1 examples has a label"):
        ft.mean_loss(model, tokenizer, some[:1])


def test_answers_are_given_without_dropout_and_the_mode_is_kept(tokenizer, examples):
    model = tiny(dropout=0.5).train()
    assert np.array_equal(predict(model, tokenizer, examples), predict(model, tokenizer, examples))
    assert ft.mean_loss(model, tokenizer, examples) == ft.mean_loss(model, tokenizer, examples)
    assert model.training


def test_encode_takes_texts_and_pairs_and_cuts_long_ones(tokenizer):
    (pair,) = encode(tokenizer, [("she sings", "a baker")], [1])
    assert pair["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1] and pair["labels"] == 1
    assert len(encode(tokenizer, ["a " * 50], max_length=12)[0]["input_ids"]) == 12
    assert "labels" not in encode(tokenizer, ["a"])[0] and encode(tokenizer, []) == []


def test_the_head_by_hand_is_the_librarys(tokenizer, examples):
    model = tiny()
    batch = pad(examples[:5], tokenizer)
    with torch.no_grad():
        x = model.bert(**{k: v for k, v in batch.items() if k != "labels"}).last_hidden_state[:, 0]
        h = torch.tanh(x @ model.bert.pooler.dense.weight.T + model.bert.pooler.dense.bias)
        z = h @ model.classifier.weight.T + model.classifier.bias
        output = model(**batch)
        loss = -(z - z.logsumexp(-1, keepdim=True))[torch.arange(5), batch["labels"]].mean()
    assert torch.allclose(z, output.logits, atol=1e-6) and loss.item() == pytest.approx(output.loss.item(), abs=1e-6)


# --- precision, progress, errors ------------------------------------------------------------------------------------


def test_bfloat16_learns_and_keeps_float32_weights(tokenizer, examples):
    result = run(tiny(), tokenizer, examples, epochs=30, learning_rate=5e-3, precision="bfloat16")
    assert {weight.dtype for weight in result.model.parameters()} == {torch.float32}
    labels = np.array([example["labels"] for example in examples])
    assert (predict(result.model, tokenizer, examples).argmax(-1) == labels).mean() > 0.95


@pytest.mark.parametrize("seen", [True, False])
def test_the_bar_shows_on_a_terminal_only_and_erases_itself(tokenizer, examples, monkeypatch, seen):
    screen = io.StringIO()
    screen.isatty = lambda: seen
    monkeypatch.setattr(sys, "stderr", screen)
    finetune(tiny(), tokenizer, examples, epochs=1)
    assert ("fine-tuning" in screen.getvalue()) == seen
    if seen:
        from tools.notebooks import visible

        assert not visible(screen.getvalue()).strip()


def test_the_bar_shows_in_jupyter(tokenizer, examples, monkeypatch, capsys):
    class ZMQInteractiveShell:
        """Stands for Jupyter's shell."""

    monkeypatch.setattr("builtins.get_ipython", ZMQInteractiveShell, raising=False)
    finetune(tiny(), tokenizer, examples, epochs=1)
    assert "fine-tuning" in capsys.readouterr().err
    finetune(tiny(), tokenizer, examples, epochs=1, progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0}, "learning_rate=0 must be above 0"),
        ({"batch_size": 0}, "batch_size=0 must be above 0"),
        ({"epochs": 0}, "leave nothing to do"),
        ({"precision": "float8"}, "use one of float32, bfloat16"),
        ({"learning_rate": 1e30, "largest_gradient": 1e30, "epochs": 20}, "lower learning_rate"),
    ],
)
def test_settings_that_make_no_sense(tokenizer, examples, settings, message):
    with pytest.raises(ValueError, match=message):
        run(tiny(), tokenizer, examples, **settings)


def test_errors_say_what_to_do(tokenizer, examples):
    with pytest.raises(ValueError, match="no examples to fine-tune"):
        run(tiny(), tokenizer, [])
    with pytest.raises(ValueError, match="no validation examples"):
        run(tiny(), tokenizer, examples, [])
    with pytest.raises(ValueError, match="unfreeze one"):
        run(tiny().requires_grad_(False), tokenizer, examples)
    with pytest.raises(ValueError, match="score is nan at step 4"):
        run(tiny(), tokenizer, examples, lambda model: math.nan)
    with pytest.raises(ValueError, match="2 texts but 1 labels"):
        encode(tokenizer, ["a", "she"], [1])
    silent = [{**example, "labels": [-100] * len(example["input_ids"])} for example in examples]
    with pytest.raises(ValueError, match="No label of the batch of step 1 is scored"):
        run(tiny("BertForTokenClassification"), tokenizer, silent)


# --- which weights --------------------------------------------------------------------------------------------------


def changed(before, after):
    return {name for name, weight in after.named_parameters() if not torch.equal(before[name], weight)}


@pytest.mark.parametrize(("layers", "untouched"), [(None, "bert."), (1, "bert.encoder.layer.0.")])
def test_frozen_weights_stay(tokenizer, examples, layers, untouched):
    model = ft.freeze(tiny(), layers)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    run(model, tokenizer, examples, epochs=1, learning_rate=1e-2)
    moved = changed(before, model)
    assert "classifier.weight" in moved and not any(name.startswith(untouched) for name in moved)
    assert not any("embeddings" in name for name in moved)
    assert any(name.startswith("bert.encoder.layer.1.") for name in moved) == (layers == 1)


@pytest.mark.filterwarnings("error")
def test_lora_trains_its_own_weights_and_the_head_only(tokenizer, examples, tmp_path):
    pytest.importorskip("peft")
    model = ft.lora(tiny(), rank=2, seed=3)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    base = ft.predict(tiny(), tokenizer, examples)
    assert np.allclose(predict(model, tokenizer, examples), base, atol=1e-6)  # B starts at 0
    run(model, tokenizer, examples, epochs=2, learning_rate=1e-2)
    moved = changed(before, model)
    assert all("lora_" in name or "classifier.modules_to_save" in name for name in moved)
    assert {name.split(".")[-3] for name in moved if "lora_B" in name} == {"lora_B"} and len(moved) >= 10
    trained = predict(model, tokenizer, examples)
    model.save_pretrained(tmp_path)
    again = ft.load_adapter(tiny(), tmp_path)
    assert np.allclose(predict(again, tokenizer, examples), trained, atol=1e-6)
    assert np.allclose(predict(again.merge_and_unload(), tokenizer, examples), trained, atol=1e-5)


def test_lora_by_hand(tokenizer, examples):
    pytest.importorskip("peft")
    model = run(ft.lora(tiny(), rank=2), tokenizer, examples, epochs=1, learning_rate=1e-2).model
    layer = model.base_model.model.bert.encoder.layer[0].attention.self.query
    x = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        update = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
        by_hand = x @ (layer.weight + 2.0 * update).T + layer.bias
        assert torch.allclose(layer(x), by_hand, atol=1e-6) and update.abs().max() > 0


def test_lora_starts_from_its_seed(tokenizer):
    pytest.importorskip("peft")
    first, again, other = (weights(ft.lora(tiny(), seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_from_scratch_has_the_shape_but_not_the_weights():
    model = tiny(num_labels=3)
    new, again = ft.from_scratch(model, seed=5), ft.from_scratch(model, seed=5)
    assert type(new) is type(model) and weights(new).shape == weights(model).shape
    assert torch.equal(weights(new), weights(again)) and not torch.equal(weights(new), weights(model))
    assert new.config is not model.config and not new.training


# --- held against transformers' Trainer -----------------------------------------------------------------------------


def test_the_benchmark_prints_its_table(capsys):
    result = bench_finetuning.main(["--quick"])
    printed = capsys.readouterr().out
    assert "64 labelled pairs" in printed and "paired by seed" in printed
    assert all(len(values) == 2 and min(values) > 0 for side in result.values() for values in side.values())


@pytest.mark.slow
def test_as_good_and_as_fast_as_the_trainer():
    """The world's tone, five seeds: the mean accuracies are within 0.03 of each other, the speed no less."""
    table = bench_finetuning.compare(seeds=5, labelled=256)
    ours, theirs = table["ours"], table["Trainer"]
    difference = np.array(ours["accuracy"]) - np.array(theirs["accuracy"])
    assert abs(difference.mean()) < 0.03, (ours, theirs)
    assert np.median(ours["examples_per_second"]) > 0.95 * np.median(theirs["examples_per_second"]), (ours, theirs)
