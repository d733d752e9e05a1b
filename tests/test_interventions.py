"""Hooks do what they say, leave the model as it was, and agree with what must be true of any BERT."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from utils import interventions as iv
from utils import models


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=3, num_attention_heads=4,
                            intermediate_size=24, max_position_embeddings=12, initializer_range=0.5,
                            attn_implementation="eager")
        return BertForMaskedLM(config).eval()


@pytest.fixture(scope="module")
def texts():
    """Four texts and the same with another word at position 2."""
    generator = torch.Generator().manual_seed(5)
    null = torch.randint(5, 30, (4, 7), generator=generator)
    changed = null.clone()
    changed[:, 2] = (changed[:, 2] - 5 + 7) % 25 + 5
    return {"input_ids": null}, {"input_ids": changed}


def score(output):
    return output.logits[:, 4, 8] - output.logits[:, 4, 9]


def test_layers_are_those_of_output_hidden_states(model, texts):
    seen = []
    handles = [layer.register_forward_hook(lambda m, i, o: seen.append(o)) for layer in iv.layers_of(model)]
    states = model(**texts[0], output_hidden_states=True).hidden_states
    for handle in handles:
        handle.remove()
    assert len(states) == len(seen) == 4
    assert all(torch.equal(a, b) for a, b in zip(states, seen, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(states, iv.hidden_states(model, texts[0]), strict=True))


def test_a_patch_changes_one_state_and_is_taken_away_again_after_an_error(model, texts):
    before = iv.hidden_states(model, texts[0])
    donor = torch.ones(4, 16)
    with iv.patched(model, 1, 3, donor):
        during = iv.hidden_states(model, texts[0])
    assert torch.equal(during[1][:, 3], donor)
    assert torch.equal(during[1][:, :3], before[1][:, :3]) and torch.equal(during[0], before[0])
    assert not torch.allclose(during[2], before[2])
    with pytest.raises(KeyError), iv.patched(model, 1, 3, donor):
        raise KeyError
    assert all(torch.equal(a, b) for a, b in zip(iv.hidden_states(model, texts[0]), before, strict=True))


def test_a_patch_may_have_a_position_for_each_text(model, texts):
    positions = torch.tensor([0, 1, 2, 3])
    with iv.patched(model, 0, positions, torch.zeros(4, 16)):
        state = iv.hidden_states(model, texts[0])[0]
    assert all(torch.equal(state[i, p], torch.zeros(16)) for i, p in enumerate(positions))
    assert (state[0, 1] != 0).any()


def test_patching_everything_or_nothing_is_certain_at_both_ends(model, texts):
    with torch.no_grad():
        carried = iv.patch_map(model, *texts, score)
    assert carried.shape == (4, 7)
    first, last = torch.zeros(7), torch.zeros(7)
    first[2] = last[4] = 1.0  # only position 2 differs in the input, only position 4 is read
    assert torch.allclose(carried[0], first, atol=1e-5) and torch.allclose(carried[-1], last, atol=1e-5)


def test_texts_that_are_not_aligned_or_do_not_differ_are_refused(model, texts):
    with pytest.raises(ValueError, match="not aligned"):
        iv.patch_map(model, texts[0], {"input_ids": texts[1]["input_ids"][:, :6]}, score)
    with pytest.raises(ValueError, match="same mean score"):
        iv.patch_map(model, texts[0], texts[0], score)
    with pytest.raises(ValueError, match="layer=4"), iv.patched(model, 4, 0, torch.zeros(4, 16)):
        pass


def test_removal_is_the_projection_whatever_the_length_and_angle_of_the_directions(model, texts):
    generator = torch.Generator().manual_seed(2)
    states, directions = torch.randn(5, 16, generator=generator), 3 * torch.randn(2, 16, generator=generator)
    left = iv.remove_directions(states, directions)
    assert torch.allclose(left @ directions.T, torch.zeros(5, 2), atol=1e-5)
    assert torch.allclose(iv.remove_directions(left, directions), left, atol=1e-5)  # nothing is left to remove
    centre = torch.randn(16, generator=generator)
    about = iv.remove_directions(states, directions, centre)
    assert torch.allclose((about - centre) @ directions.T, torch.zeros(5, 2), atol=1e-5)
    with iv.projected(model, 2, directions):
        everywhere = iv.hidden_states(model, texts[0])[2]
    assert torch.allclose(everywhere @ directions.T, torch.zeros(4, 7, 2), atol=1e-4)
    before = iv.hidden_states(model, texts[0])[2]
    with iv.projected(model, 2, directions, torch.tensor([1, 1, 1, 1])):
        once = iv.hidden_states(model, texts[0])[2]
    assert torch.equal(once[:, 2:], before[:, 2:]) and not torch.allclose(once[:, 1], before[:, 1])


def test_all_heads_held_leave_no_direct_effect_because_nothing_else_moves_between_positions(model, texts):
    found = iv.effects(model, *texts, score, iv.heads_of(model))
    assert found.total.abs().min() > 1e-3
    assert torch.allclose(found.direct, torch.zeros(4), atol=1e-5)
    assert torch.allclose(found.indirect, found.total, atol=1e-5)


def test_a_unit_held_at_its_own_values_changes_nothing(model, texts):
    before = iv.record(model, texts[0], score)
    for units in (iv.heads_of(model), iv.heads_of(model, "weights"), iv.neurons_of(model)):
        with torch.no_grad(), iv.held(model, units, before):
            assert torch.allclose(score(model(**texts[0])), before.score, atol=1e-5)


def test_weights_and_outputs_of_a_head_are_different_mediators(model, texts):
    """Held weights with the new values are neither the old output nor the new one."""
    before, after = (iv.record(model, text, score) for text in texts)
    with torch.no_grad(), iv.held(model, [iv.Unit("weights", 1, 2)], before):
        held = iv.record(model, texts[1], score)
    values = model.bert.encoder.layer[0].attention.self.value(iv.hidden_states(model, texts[1])[0])
    values = values.unflatten(-1, (4, 4))[:, :, 2]  # of head 2
    by_hand = before.weights[1][:, 2] @ values
    output = model.bert.encoder.layer[0].attention.self
    seen = []
    with torch.no_grad(), iv.held(model, [iv.Unit("weights", 1, 2)], before):
        handle = output.register_forward_hook(lambda m, i, o: seen.append(o[0].unflatten(-1, (4, 4))))
        model(**texts[1])
        handle.remove()
    assert torch.allclose(seen[0][:, :, 2], by_hand, atol=1e-5)
    assert torch.allclose(seen[0][:, :, 1], after.outputs[1][:, :, 1], atol=1e-5)  # the other heads are free
    assert not torch.allclose(held.score, before.score) and not torch.allclose(held.score, after.score)


def test_held_neurons_fire_as_in_the_other_run_and_no_others(model, texts):
    runs = tuple(iv.record(model, text, score) for text in texts)
    with iv.held(model, iv.neurons_of(model, [2]), runs[1]):
        inside = iv.record(model, texts[0], score)
    assert torch.equal(inside.neurons[2], runs[1].neurons[2])
    assert torch.equal(inside.neurons[1], runs[0].neurons[1])  # the layer below is free
    with iv.held(model, [iv.Unit("neuron", 2, 5)], runs[1]):
        one = iv.record(model, texts[0], score).neurons[2]
    others = [n for n in range(24) if n != 5]
    assert torch.equal(one[..., 5], runs[1].neurons[2][..., 5])
    assert torch.equal(one[..., others], runs[0].neurons[2][..., others])


def test_neurons_of_a_layer_have_a_direct_and_an_indirect_effect_and_ratios_are_those_of_the_odds(model, texts):
    runs = tuple(iv.record(model, text, score) for text in texts)
    found = iv.effects(model, *texts, score, iv.neurons_of(model, [2]), runs)
    assert found.direct.abs().min() > 1e-3 and found.indirect.abs().min() > 1e-3
    assert not torch.allclose(found.indirect, found.total, atol=1e-3)  # the residual stream carries the rest
    assert torch.allclose(iv.ratios(found.total), torch.exp(runs[1].score) / torch.exp(runs[0].score) - 1, rtol=1e-4)


def test_a_model_that_keeps_no_weights_is_refused(model, texts):
    other = BertForMaskedLM(model.config).eval()
    other.set_attn_implementation("sdpa")
    with pytest.raises(ValueError, match="eager"):
        iv.record(other, texts[0], score)
    model.set_attn_implementation("eager")  # the two share a configuration


def test_an_encoder_without_a_head_works_too():
    encoder, tokenizer = models.load("minilm")
    batch = dict(tokenizer("a short text", return_tensors="pt"))
    with iv.patched(encoder, 6, 1, torch.zeros(1, 384)), torch.no_grad():
        assert (encoder(**batch).last_hidden_state[0, 1] == 0).all()
