"""Checks of the exercises of notebook 14, probing and intervening."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from utils.exercises import (
    Refused,
    as_array,
    call,
    describe,
    exercise,
    expect_array,
    expect_number,
    expect_true,
)


@exercise("14.1")
def ceiling(answer):
    """The accuracy that no reader can pass, from exact posteriors."""
    random = np.random.default_rng(3)
    cases = [np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]]), random.dirichlet(np.ones(4) * 0.6, size=50)]
    for posterior in cases:
        best = float(np.mean([max(row) for row in posterior]))
        got = call(answer, posterior)
        expect_number(got, best, tolerance=1e-6, name="the ceiling", mistakes=[
            ("one answer for all", float(posterior.mean(0).max()),
             "you average the posteriors first, which is a reader who gives every text the same answer; take the "
             "largest entry of each row, then the mean."),
            ("matching", float((posterior**2).sum(1).mean()),
             "that is a reader who draws an answer from the posterior; the best reader always names the likeliest."),
            ("index", float(posterior.argmax(1).mean()),
             "that is the number of the likeliest state; take its probability, max."),
            ("smallest", float(posterior.min(1).mean()), "you take the smallest entry of each row, not the largest."),
            ("down the columns", float(posterior.max(0).mean()),
             "your maximum runs down the texts; it must run over the states of each text (axis 1)."),
            ("sum", float(posterior.max(1).sum()),
             "that is the expected number of right answers; divide by the number of texts."),
            ("per text", posterior.max(1), "these are the accuracies of the single texts; return their mean."),
        ])
    return "equal to the mean of the largest posteriors, for two states and for four."


def _corpus(seed: int) -> tuple[list[str], np.ndarray]:
    """Words whose label depends on the occurrence: 300 types, frequent and rare ones, labels 70, 20 and 10 %."""
    random = np.random.default_rng(seed)
    words = [f"w{i}" for i in range(300) for _ in range(random.integers(1, 12))]
    labels = random.choice(np.array(["A", "B", "C"]), size=len(words), p=[0.7, 0.2, 0.1])
    order = random.permutation(len(words))
    return [words[i] for i in order], labels[order]


@exercise("14.2")
def control_labels(answer):
    """A label for each word type, drawn from the distribution of the labels."""
    shares = []
    for seed in range(4):
        words, labels = _corpus(seed)
        got = call(answer, words, labels, seed)
        got = np.array([str(label) for label in np.asarray(got).tolist()])
        expect_true(got.shape == (len(words),), f"return one label for each of the {len(words)} words; yours has "
                    f"shape {got.shape}.")
        expect_true(set(got) <= {"A", "B", "C"}, "your labels are not among those of the task; the control task has "
                    "the same labels, drawn anew.")
        by_type: dict[str, set[str]] = {}
        for word, label in zip(words, got, strict=True):
            by_type.setdefault(word, set()).add(label)
        if any(len(found) > 1 for found in by_type.values()):
            raise Refused("the same word got two different labels; draw once for each word type, not for each "
                          "occurrence, or there is nothing to memorise.")
        again = np.asarray(call(answer, words, labels, seed)).astype(str)
        expect_true((again == got).all(), "two calls with the same seed differ; make a generator from the seed, or the "
                    "training and the test words will be labelled differently.")
        chosen = {w: next(iter(found)) for w, found in by_type.items()}
        _refuse_the_text(answer, words, labels, seed, chosen)
        other = np.asarray(call(answer, words, labels, seed + 100)).astype(str)
        expect_true((other != got).any(), "every seed gives the same labels; use the seed for the draw.")
        shares.append(np.mean([label == "A" for label in chosen.values()]))
    share = float(np.mean(shares))
    expect_true(abs(share - 1 / 3) > 0.06, f"your types have label A in {share:.0%} of the cases, so every label is "
                "equally likely; draw with the shares that the labels have in the task (here about 70 % A).")
    expect_true(abs(share - 0.7) < 0.06, f"your types have label A in {share:.0%} of the cases; in the task it is "
                "about 70 %, and the control is to have the same distribution.")
    return "one label to a type, in the shares of the task, the same under the same seed; four corpora of 300 types."


def _refuse_the_text(answer, words: list[str], labels: np.ndarray, seed: int, chosen: dict[str, str]) -> None:
    """Refuse labels that depend on what the words' own occurrences are labelled. chosen: the answer's label of each
    type, by which the two commonest ways are told apart from others."""
    own: dict[str, list[str]] = {}
    for word, label in zip(words, labels.tolist(), strict=True):
        own.setdefault(word, []).append(label)
    ways = {"the label of its first occurrence": {w: each[0] for w, each in own.items()},
            "its commonest true label": {w: max("ABC", key=each.count) for w, each in own.items()}}
    for way, label_of in ways.items():
        same = np.mean([chosen[w] == label for w, label in label_of.items()])
        expect_true(same < 0.9, f"each word got {way}: that is the task itself. The control's labels must have nothing "
                    "to do with the text.")
    # A task in which each type has one true label: a draw of any kind from a word's own occurrences finds it.
    drawn = np.random.default_rng(11).choice(np.array(["A", "B", "C"]), size=len(own), p=[0.7, 0.2, 0.1])
    truth = dict(zip(sorted(own), drawn, strict=True))
    got = np.asarray(call(answer, words, np.array([truth[w] for w in words]), seed)).astype(str)
    agreement = np.mean([truth[w] == label for w, label in dict(zip(words, got, strict=True)).items()])
    expect_true(agreement < 0.75, "your labels come from the word's own occurrences: that is the task itself. The "
                "control's labels must have nothing to do with the text.")  # a fair draw agrees in 0.54, SD 0.03


@exercise("14.3")
def patch_hook(answer):
    """A forward hook that replaces one position."""
    generator = torch.Generator().manual_seed(4)
    module = nn.Identity()
    for batch, length, width, position in ((4, 4, 5, 1), (2, 6, 5, 3), (3, 4, 4, 1)):
        # first as many texts as positions, so that output[position] = donor runs and is told what it does
        output = torch.randn(batch, length, width, generator=generator)
        donor = torch.randn(batch, width, generator=generator)
        layer_input = torch.randn(batch, length, width, generator=generator)  # or inputs[0] would pass for output
        hook = call(answer, position, donor)
        expect_true(callable(hook), "return a function hook(module, inputs, output); PyTorch calls it later.")
        given = output.clone()
        try:
            got = hook(module, (layer_input,), given)
        except Exception as error:
            raise Refused(f"your hook raised {describe(error)} on an output of shape {tuple(output.shape)}.") from None
        if got is None:
            raise Refused("your hook returns None, and then PyTorch keeps the layer's own output; return the changed "
                          "tensor.")
        wanted = output.clone()
        wanted[:, position] = donor
        everywhere = donor[:, None].expand_as(output)
        from_input, by_row = layer_input.clone(), output.clone()
        from_input[:, position] = donor
        if batch == length:
            by_row[position] = donor
        expect_array(got, wanted, tolerance=1e-6, name="the hook's output", mistakes=[
            ("everywhere", everywhere, "you replace every position; only output[:, position] is to change."),
            ("donor", donor, "you return the donor alone; the next layer needs the whole tensor, with one position "
             "replaced."),
            ("unchanged", output, "the output is unchanged; put the donor at output[:, position]."),
            ("added", _added(output, position, donor), "you add the donor to the old state; patching replaces it."),
            ("input", from_input, "you return the layer's input with the donor in it, and the layer's own work is "
             "lost; start from output."),
            ("by row", by_row, "you write to text number `position`, at all of its places; the first axis is the text, "
             "the second the position: output[:, position]."),
            ("elsewhere", lambda value, o=output: as_array(value, "").shape == tuple(o.shape)
             and not np.allclose(as_array(value, "")[:, 0], o[:, 0].numpy()),
             "another position has changed too; only output[:, position] is to change."),
        ])
        changed_input = not torch.equal(given, output)
        expect_true(not changed_input, "your hook writes into the layer's own tensor, which others may still hold (the "
                    "saved hidden states, for one); work on output.clone().")
    return "only the one position changes, in every text of the batch, and the layer's own tensor is left alone."


def _added(output: torch.Tensor, position: int, donor: torch.Tensor) -> torch.Tensor:
    output = output.clone()
    output[:, position] += donor
    return output


@exercise("14.4")
def remove(answer):
    """States without their part in the span of some directions."""
    generator = torch.Generator().manual_seed(6)
    for count in (1, 2, 3):
        states = torch.randn(7, 8, generator=generator, dtype=torch.float64)
        directions = torch.randn(count, 8, generator=generator, dtype=torch.float64) * 2
        if count > 1:
            directions[1] = directions[0] + 0.5 * directions[1]  # far from orthogonal
        basis = np.linalg.svd(directions.numpy(), full_matrices=False)[2]
        wanted = states.numpy() - states.numpy() @ basis.T @ basis
        one_by_one, at_once = states.clone(), states.clone()
        for direction in directions:
            unit = direction / direction.norm()
            one_by_one = one_by_one - (one_by_one @ unit)[:, None] * unit
            at_once = at_once - (states @ unit)[:, None] * unit
        got = call(answer, states, directions)
        expect_array(got, wanted, tolerance=1e-6, name="the states", context=f"for {count} directions", mistakes=[
            ("length", states - (states @ directions.T) @ directions,
             "the directions are not of length 1, so you take away too much; the projection needs an orthonormal "
             "basis."),
            ("kept", states.numpy() - wanted, "you keep the part inside the span and throw the rest away; return the "
             "rest."),
            ("one by one", one_by_one, "you take the directions away one after another; they are not at right angles, "
             "so what was removed first comes back. Make them orthonormal first."),
            ("all at once", at_once, "each direction has length 1 now, but they are not at right angles, so their "
             "common part is taken away twice. Make them orthonormal first."),
            ("subtracted", states - directions.sum(0), "you subtract the directions themselves; subtract the part of "
             "each state that lies along them."),
        ])
    return "equal to the projection by singular vectors within 1e-6, for 1, 2 and 3 directions of any length and angle."


@exercise("14.5")
def relative_effects(answer):
    """Total, direct and indirect effect as mean relative changes."""
    random = np.random.default_rng(9)
    null = random.uniform(0.2, 2.0, 12)
    direct, indirect = null * random.uniform(1.0, 3.0, 12), null * random.uniform(1.0, 2.0, 12)
    changed = direct * indirect / null * random.uniform(0.9, 1.2, 12)
    wanted = [float(np.mean(y / null - 1)) for y in (changed, direct, indirect)]
    got = call(answer, null, changed, direct, indirect)
    if isinstance(got, dict):
        got = list(got.values())
    got = as_array(list(got) if isinstance(got, tuple) else got, "your effects")
    expect_array(got, np.array(wanted), tolerance=1e-6, name="(total, direct, indirect)", mistakes=[
        ("no minus one", np.array(wanted) + 1, "these are the mean ratios; no change is a ratio of 1, so subtract 1."),
        ("swapped", np.array(wanted)[[0, 2, 1]], "direct and indirect are exchanged: direct is the new input with the "
         "mediator as it was."),
        ("ratio of means", np.array([y.mean() / null.mean() - 1 for y in (changed, direct, indirect)]),
         "you divide the means; divide item by item, then take the mean."),
        ("differences", np.array([np.mean(y - null) for y in (changed, direct, indirect)]),
         "these are differences; divide each by its own y_null."),
        ("logarithms", np.array([np.mean(np.log(y / null)) for y in (changed, direct, indirect)]),
         "these are changes of log-odds, the scale of this notebook; here the relative change is asked for."),
        ("remainder", np.array([wanted[0], wanted[1], wanted[0] - wanted[1]]),
         "your indirect effect is total minus direct; it is measured by its own run, y_indirect, and the three do not "
         "add up."),
        ("per item", np.stack([y / null - 1 for y in (changed, direct, indirect)]),
         "these are the effects of the single items; return their three means."),
    ])
    return "equal to the means of the three ratios minus 1 on twelve items."
