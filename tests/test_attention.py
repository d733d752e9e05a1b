"""Attention weights, rollout, flow and the removal of heads, against values worked by hand and other routes."""

from __future__ import annotations

import copy

import pandas as pd
import pytest
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM

from tools import records, records_attention
from utils import attention

HAND = torch.tensor([[[[[0.8, 0.2], [0.4, 0.6]]]], [[[[0.6, 0.4], [0.0, 1.0]]]]])  # 2 layers, 1 text, 1 head, 2 tokens


@pytest.fixture()
def model():
    config = BertConfig(vocab_size=30, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=32,
                        max_position_embeddings=16, initializer_range=0.4, attn_implementation="eager")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BertForMaskedLM(config).eval()


@pytest.fixture()
def batch():
    ids = torch.randint(5, 30, (2, 6), generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    return {"input_ids": ids * mask, "attention_mask": mask}


def logits(model, batch):
    with torch.no_grad():
        return model(**batch).logits


def test_rows_of_weights_sum_to_one_and_padding_is_not_read(model, batch):
    weight = attention.weights(model, batch)
    assert weight.shape == (2, 2, 3, 6, 6)
    assert torch.allclose(weight.sum(-1), torch.ones(2, 2, 3, 6), atol=1e-6)
    assert weight[:, 1, :, :, 4:].abs().max() == 0


def test_a_model_without_weights_is_refused_in_a_sentence(model, batch):
    model.set_attn_implementation("sdpa")
    with pytest.raises(ValueError, match="attn_implementation='eager'"):
        attention.weights(model, batch)


def test_rollout_by_hand():
    # A_1 = [[.9, .1], [.2, .8]], A_2 = [[.8, .2], [0, 1]]; R = A_2 A_1
    expected = torch.tensor([[0.8 * 0.9 + 0.2 * 0.2, 0.8 * 0.1 + 0.2 * 0.8], [0.2, 0.8]])
    assert torch.allclose(attention.rollout(HAND)[0], expected)
    assert torch.allclose(attention.rollout(HAND, residual=0.0)[0], HAND[1, 0, 0] @ HAND[0, 0, 0])


def test_rollout_rows_sum_to_one_and_padding_changes_nothing(model, batch):
    together = attention.rollout(attention.weights(model, batch))
    alone = attention.rollout(attention.weights(model, {name: t[1:, :4] for name, t in batch.items()}))
    assert torch.allclose(together.sum(-1), torch.ones(2, 6), atol=1e-6)
    assert torch.allclose(together[1, :4, :4], alone[0], atol=1e-5)
    assert together[1, :4, 4:].abs().max() == 0


def test_flow_by_hand():
    # from 0 at the top to 0: min(.8, .9) through 0, and min(.2, .2) through 1
    assert attention.flow(HAND[:, 0])[0, 0] == pytest.approx(0.8 + 0.2, abs=1e-5)
    assert attention.flow(HAND[:, 0])[0, 1] == pytest.approx(0.1 + 0.2, abs=1e-5)
    assert attention.flow(HAND[:, 0])[1].tolist() == pytest.approx([0.2, 0.8], abs=1e-5)
    assert attention.flow(HAND[:, 0], rows=[1])[0].abs().max() == 0


def test_padding_changes_nothing_in_a_flow_and_no_path_is_lost(model, batch):
    weight = attention.weights(model, batch)
    padded = attention.flow(weight[:, 1])
    alone = attention.flow(attention.weights(model, {name: t[1:, :4] for name, t in batch.items()})[:, 0])
    assert torch.allclose(padded[:4, :4], alone, atol=1e-4) and padded[:4, 4:].abs().max() == 0
    # shares that add up to 1 are one possible stream, so the largest is no smaller, and rows sum to 1 or more
    rollout = attention.rollout(weight)[1]
    assert (padded[:4] >= rollout[:4] - 1e-4).all() and padded[:4].max() <= 1 and (padded[:4].sum(1) > 1).all()


def test_flow_equals_networkx(model, batch):
    import networkx

    weight = attention.weights(model, {"input_ids": batch["input_ids"][:1, :4]})[:, 0]
    mixed, graph = 0.5 * weight.mean(1) + 0.5 * torch.eye(4), networkx.DiGraph()
    for layer in range(2):
        for i in range(4):
            for j in range(4):
                graph.add_edge((layer + 1, i), (layer, j), capacity=float(mixed[layer, i, j]))
    for j in range(4):
        expected = networkx.maximum_flow_value(graph, (2, 2), (0, j))
        assert attention.flow(weight, rows=[2])[2, j] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("shape", "residual"), [((2, 3, 4, 4), 0.5), ((2, 1, 3, 4, 5), 0.5), ((2, 1, 3, 4, 4), 1.0)])
def test_wrong_weights_and_shares_are_refused(shape, residual):
    with pytest.raises(ValueError):
        attention.rollout(torch.ones(shape), residual)


def test_head_outputs_are_weighted_means_of_values(model, batch):
    outputs, weight = attention.head_outputs(model, batch), attention.weights(model, batch)
    inner = model.bert.encoder.layer[0].attention.self
    with torch.no_grad():
        value = inner.value(model.bert.embeddings(batch["input_ids"])).unflatten(-1, (3, -1)).transpose(1, 2)
    assert outputs.shape == (2, 2, 6, 3, 8)
    assert torch.allclose(outputs[0].transpose(1, 2), weight[0] @ value, atol=1e-5)


def zero_columns(model, heads):
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for layer, head in heads:
            changed.bert.encoder.layer[layer].attention.output.dense.weight[:, 8 * head : 8 * head + 8] = 0
    return changed


@pytest.mark.parametrize("heads", [[(0, 0)], [(1, 2)], [(0, 1), (1, 0), (0, 2)]])
@pytest.mark.parametrize("kind", ["eager", "sdpa"])
def test_removing_heads_equals_zero_columns_of_the_output_matrix(model, batch, heads, kind):
    model.set_attn_implementation(kind)
    before, expected = logits(model, batch), logits(zero_columns(model, heads), batch)
    with attention.remove_heads(model, heads):
        inside = logits(model, batch)
    assert torch.allclose(inside, expected, atol=1e-5) and not torch.allclose(inside, before, atol=1e-3)
    assert torch.equal(logits(model, batch), before)


def test_no_hook_is_left_behind_by_an_error(model, batch):
    before = logits(model, batch)
    with pytest.raises(RuntimeError, match="stop"), attention.remove_heads(model, [(0, 0)]):
        raise RuntimeError("stop")
    assert torch.equal(logits(model, batch), before)


@pytest.mark.parametrize("head", [(2, 0), (0, 3), (-1, 0)])
def test_a_head_that_is_not_there_is_refused(model, head):
    with pytest.raises(ValueError, match="2 layers of 3 heads"), attention.remove_heads(model, [head]):
        pass


def test_the_mean_of_a_head_is_over_real_tokens_and_takes_its_place(model, batch):
    outputs = attention.head_outputs(model, batch)
    mean = attention.mean_outputs(model, [batch])
    real = batch["attention_mask"].bool()
    assert torch.allclose(mean, outputs[:, real].mean(1), atol=1e-6)
    halves = [{name: tensor[i : i + 1] for name, tensor in batch.items()} for i in range(2)]
    assert torch.allclose(attention.mean_outputs(model, halves), mean, atol=1e-6)
    with attention.remove_heads(model, [(0, 1)], mean):
        replaced = attention.head_outputs(model, batch)
    # hooks run in the order they were set, so what is read here is already replaced
    assert torch.allclose(replaced[0, :, :, 1], mean[0, 1].expand(2, 6, -1), atol=1e-6)
    with pytest.raises(ValueError, match="at least one batch"):
        attention.mean_outputs(model, [])


def test_what_is_passed_on_adds_up_to_the_output(model, batch):
    """With one token to read, the length is that of the whole output without its bias."""
    single = {"input_ids": batch["input_ids"][:1, :1]}
    outputs = attention.head_outputs(model, single)[1, 0].flatten(-2)
    expected = (outputs @ model.bert.encoder.layer[1].attention.output.dense.weight.T).norm(dim=-1)
    assert torch.allclose(attention.passed_on(model, single)[1, 0, :, 0], expected, atol=1e-5)
    lengths = attention.passed_on(model, batch)
    assert lengths.shape == (2, 2, 6, 6) and lengths[:, 1, :4, 4:].abs().max() == 0


def test_what_is_passed_on_is_the_length_of_a_sum_over_heads(model, batch):
    """For one reader and one token read: each head's own weight, value and columns, added up, then the length."""
    weight, lengths = attention.weights(model, batch), attention.passed_on(model, batch)
    with torch.no_grad():
        states = model(**batch, output_hidden_states=True).hidden_states
        for layer, b, i, j in ((0, 0, 2, 5), (1, 1, 3, 0), (1, 0, 4, 4)):
            part = model.bert.encoder.layer[layer].attention
            value, total = part.self.value(states[layer][b, j]), torch.zeros(24)
            for head in range(3):
                own = slice(8 * head, 8 * head + 8)
                total += weight[layer, b, head, i, j] * part.output.dense.weight[:, own] @ value[own]
            assert lengths[layer, b, i, j] == pytest.approx(total.norm().item(), abs=1e-5)


def test_the_effect_of_a_head_is_a_divergence_of_answers(model, batch):
    place = torch.tensor([3, 2])
    effects = attention.head_effects(model, batch, place)
    log_q = logits(model, batch)[[0, 1], place].log_softmax(-1)
    log_r = logits(zero_columns(model, [(1, 2)]), batch)[[0, 1], place].log_softmax(-1)
    expected = F.kl_div(log_r, log_q, log_target=True, reduction="none").sum(-1)
    assert effects.shape == (2, 2, 3) and torch.allclose(effects[:, 1, 2], expected, atol=1e-4)


def test_edits_of_weights(model, batch):
    before = logits(model, batch)
    with attention.edit_weights(model, lambda layer, weight: weight):
        assert torch.allclose(logits(model, batch), before, atol=1e-5)
    even = attention.uniform(0, attention.weights(model, batch)[0])
    assert torch.allclose(even[0], torch.tensor(1 / 6)) and torch.allclose(even[1, :, :, :4], torch.tensor(0.25))
    dealt = attention.permuted(torch.Generator().manual_seed(0))(0, attention.weights(model, batch)[0])
    own = attention.weights(model, batch)[0]
    assert torch.allclose(dealt.sort(-1).values, own.sort(-1).values) and not torch.allclose(dealt, own)
    assert dealt[1, :, :, 4:].abs().max() == 0
    with attention.edit_weights(model, attention.uniform):
        assert not torch.allclose(logits(model, batch), before, atol=1e-3)
    assert torch.equal(logits(model, batch), before)


def test_uniform_attention_is_what_zero_queries_give(model, batch):
    flat = copy.deepcopy(model)
    for layer in flat.bert.encoder.layer:
        for part in (layer.attention.self.query, layer.attention.self.key):
            torch.nn.init.zeros_(part.weight)
            torch.nn.init.zeros_(part.bias)
    with attention.edit_weights(model, attention.uniform):
        assert torch.allclose(logits(model, batch)[0], logits(flat, batch)[0], atol=1e-4)


def test_an_edit_of_one_layer_leaves_the_other_to_itself(model, batch):
    own = attention.head_outputs(model, batch)
    with attention.edit_weights(model, lambda layer, weight: attention.uniform(layer, weight) if layer else weight):
        edited = attention.head_outputs(model, batch)
    with torch.no_grad():
        states = model(**batch, output_hidden_states=True).hidden_states[1]
        value = model.bert.encoder.layer[1].attention.self.value(states).unflatten(-1, (3, -1))
    assert torch.allclose(edited[0], own[0], atol=1e-6)
    assert torch.allclose(edited[1, 0], value[0].mean(0).expand(6, -1, -1), atol=1e-5)
    assert torch.allclose(edited[1, 1], value[1, :4].mean(0).expand(6, -1, -1), atol=1e-5)


def test_head_mask_is_still_ignored_by_the_library(model, batch):
    """Notebook 12 shows this; when it changes, the notebook must too."""
    assert torch.equal(model(**batch, head_mask=torch.zeros(2, 3)).logits, model(**batch).logits)


def test_a_short_point_of_the_record_of_uniform_attention_comes_out_again():
    sweep, record = records.find("attention"), records.load("attention")
    short = sweep.points[-1]
    again, kept = sweep.measure(short), record["results"][-1]
    assert short["steps"] == 40 and again["mlm_floor"] == kept["mlm_floor"]
    assert again["mlm_gap"] == pytest.approx(kept["mlm_gap"], abs=0.1)


def test_attention_stays_uniform_while_the_second_arm_trains():
    point = {**records_attention.SHORT, "arm": "uniform", "seed": 0, "steps": 3}
    even, text = records_attention.pretrained(point)
    learned, _ = records_attention.pretrained({**point, "arm": "learned"})
    for model in (even, learned):
        model.set_attn_implementation("eager")
    batch = text.tokenizer("the nurse was happy .", return_tensors="pt")
    assert torch.allclose(attention.weights(even, batch), torch.tensor(1 / 7), atol=1e-6)
    assert not torch.allclose(attention.weights(learned, batch), torch.tensor(1 / 7), atol=1e-3)
    kept, moved = (model.bert.encoder.layer[0].attention.self.value.weight for model in (learned, even))
    assert not torch.equal(kept, moved)  # values learn in both arms


def test_both_marks_of_a_reading_have_intervals_between_nought_and_one():
    from utils.plots import attention as maps

    table = pd.DataFrame({"reading": ["a"], "value": [0.9], "low": [0.8], "high": [1.0],
                          "other": [0.1], "other_low": [-0.2], "other_high": [0.4]})  # fmt: skip
    ax = maps.pointing(table, 0.05).axes[0]
    spans = [bar.get_segments()[0][:, 0] for mark in ax.containers for bar in mark.lines[2]]
    assert [span.tolist() for span in spans] == [pytest.approx([0.8, 1.0]), pytest.approx([0.0, 0.4])]


def test_a_widget_lets_the_learner_choose_text_layer_and_head(model, monkeypatch):
    from utils.plots import attention as maps

    shown = []
    monkeypatch.setattr(maps.plots, "show", lambda figure, caption, alt: shown.append(caption))

    class Tokenizer:
        def __call__(self, *parts, return_tensors):
            return {"input_ids": torch.tensor([[5, 6, 7]])}

        def convert_ids_to_tokens(self, ids):
            return [str(i) for i in ids]

    widget = maps.browse(model, Tokenizer(), ["one", "two [SEP] three"])
    text, layer, head, _ = widget.children
    layer.value, head.value, text.value = 1, 2, "two [SEP] three"
    assert (layer.max, head.max) == (1, 2) and shown[0].endswith("head 0.0.") and shown[-1].endswith("head 1.2.")
