"""Speed of pretraining against transformers' Trainer and against the machine: the first rows of `make bench`.

    python -m tests.bench_pretraining            # about half an hour on two cores
    python -m tests.bench_pretraining --quick    # a minute: same code, too few steps to believe the numbers

Both sides train the same BertForPreTraining from the same weights on the same text of the small world, 64
pairs a step, on the same machine, in turns. What is printed says the rest of the method.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging

from utils import evaluate, optim, precision
from utils.corpus import SINGLE_SHARE, PairBatches
from utils.forward import losses
from utils.pretrain import choose_precisions, train
from utils.recipe import Recipe, Text, build_batches, build_model, prepare_text
from utils.training_record import Training

TARGETS = (0.10, 0.05)  # nats above the floor of masked words
SHAPES = ((2048, 2048, 2048), (1024, 1024, 1024), (1280, 128, 384), (1280, 128, 512))  # the last two: a layer's own


@dataclass(frozen=True)
class Budget:
    """How much is measured. `ours` and `theirs`: steps of the runs that aim at each of TARGETS."""

    rounds: int = 7
    steps_per_round: int = 60
    ours: tuple[int, int] = (2600, 5600)
    theirs: tuple[int, int] = (6000, 16000)
    grid: tuple[float, ...] = (1e-3, 2e-3, 4e-3)
    grid_steps: int = 1500
    looks: int = 40  # how often the distance is measured in a run
    patience: float = 1500.0  # seconds after which a run is given up
    exam_documents: int = 200


QUICK = Budget(rounds=1, steps_per_round=6, ours=(8, 8), theirs=(8, 8), grid=(1e-3,), grid_steps=4, looks=2,
               patience=20.0, exam_documents=5)


# ------------------------------------------------------------------------------------------- the two sides


class Rows(torch.utils.data.Dataset):
    """The same pairs as ours, encoded beforehand, as Trainer wants them: one dict of lists per pair."""

    def __init__(self, text: Text, recipe: Recipe, rows: int) -> None:
        batches = PairBatches(text.training, text.tokenizer, 1, recipe.seed, probability=0.0, single_share=SINGLE_SHARE)
        self.rows = []
        while len(self.rows) < rows:
            batches._plan(batches._epoch + 1)
            order = batches._order.flatten()[: rows - len(self.rows)]
            for start in range(0, len(order), 1024):
                self.rows += self._encode(batches, order[start : start + 1024])

    @staticmethod
    def _encode(batches: PairBatches, order: torch.Tensor) -> list[dict[str, Any]]:
        batch = batches.assemble(batches._first[order], batches._second[order])
        batch.setdefault("attention_mask", torch.ones_like(batch["input_ids"]))
        lengths = batch["attention_mask"].sum(1).tolist()
        special = batch["input_ids"] < 5
        columns = {"input_ids": batch["input_ids"], "token_type_ids": batch["token_type_ids"],
                   "special_tokens_mask": special.long()}
        lists = {name: tensor.tolist() for name, tensor in columns.items()}
        return [{**{name: rows[i][:length] for name, rows in lists.items()}, "length": length,
                 "next_sentence_label": label}
                for i, (length, label) in enumerate(zip(lengths, batches._labels[order].tolist(), strict=True))]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]


class Clock(TrainerCallback):
    """The times at which steps end, without what ``look`` takes; ``look(step, seconds)`` may end the run."""

    def __init__(self, look: Callable[[int, float], bool] | None = None) -> None:
        self.look, self.paused, self.ends = look, 0.0, []

    def on_train_begin(self, args, state, control, **_):
        self.start = time.perf_counter()

    def on_step_end(self, args, state, control, **_):
        now = time.perf_counter()
        self.ends.append(now - self.start - self.paused)
        if self.look and not self.look(state.global_step, self.ends[-1]):
            control.should_training_stop = True
        self.paused += time.perf_counter() - now


def run_trainer(model: Any, text: Text, rows: Rows, recipe: Recipe, steps: int, learning_rate: float,
                dtype: torch.dtype, clock: Clock, sampling: str = "random") -> None:
    arguments = TrainingArguments(
        output_dir="build/bench", max_steps=steps, per_device_train_batch_size=recipe.batch_size,
        learning_rate=learning_rate, lr_scheduler_type="linear", warmup_steps=int(recipe.warmup * steps),
        weight_decay=0.0, adam_beta2=0.98, optim="adamw_torch_fused", train_sampling_strategy=sampling,
        length_column_name="length", bf16=dtype == torch.bfloat16, use_cpu=not torch.cuda.is_available(),
        logging_strategy="no", save_strategy="no", eval_strategy="no", report_to="none", disable_tqdm=True,
        remove_unused_columns=False, seed=recipe.seed)
    trainer = Trainer(model, arguments, train_dataset=rows, callbacks=[clock],
                      data_collator=Collator(text.tokenizer, mlm_probability=0.15))
    trainer.remove_callback(PrinterCallback)
    trainer.train()


class Collator(DataCollatorForLanguageModeling):
    """transformers' own masking collator; it only drops the column that the sampler, not the model, reads."""

    def torch_call(self, examples):
        return super().torch_call([{k: v for k, v in example.items() if k != "length"} for example in examples])


def run_ours(model: Any, text: Text, recipe: Recipe, look: Callable[[int, float], bool] | None) -> list[float]:
    """Train and return the seconds at which steps ended, without what ``look`` takes."""
    training = Training(model, text.tokenizer, recipe)
    dtype = precision.PRECISIONS[recipe.precision]
    optimizers = optim.build_optimizers(model, recipe.muon_learning_rate, recipe.learning_rate,
                                        precision.PRECISIONS[recipe.muon_precision])
    paused, ends = 0.0, []

    def after_step() -> bool:
        nonlocal paused
        now = time.perf_counter()
        ends.append(training.history[-1]["seconds"] - paused)
        go_on = look is None or look(len(ends), ends[-1])
        paused += time.perf_counter() - now
        return go_on

    train(training, build_batches(recipe, text), optimizers, dtype, after_step)
    return ends


# --------------------------------------------------------------------------------------- what is measured


def speed(ends: list[float], tokens: list[int], skip: int) -> float:
    return sum(tokens[skip:]) / (ends[-1] - ends[skip - 1])


def tokens_per_second(text: Text, recipe: Recipe, budget: Budget) -> tuple[dict[str, list[float]], list[str]]:
    """Ours and Trainer's in each precision worth trying, in turns: lists of tokens/s without padding."""
    steps, skip = budget.steps_per_round, max(1, budget.steps_per_round // 6)
    rates = precision.measured_rates()
    dtypes = [name for name in precision.PRECISIONS if rates[name] > 0.1 * max(rates.values())]
    rows = Rows(text, recipe, steps * recipe.batch_size)
    batches = build_batches(recipe, text)
    ours = [int(batches[i].get("attention_mask", batches[i]["input_ids"] >= 0).sum()) for i in range(steps)]
    theirs = [sum(row["length"] for row in rows.rows) / steps] * steps  # on average; the sampler shuffles
    trainers = {f"Trainer {name}": (name, "random") for name in dtypes}
    trainers["Trainer float32, grouped by length"] = ("float32", "group_by_length")
    results: dict[str, list[float]] = {name: [] for name in ("ours", "ours, AdamW", *trainers)}
    sides = {"ours": replace(recipe, steps=steps), "ours, AdamW": replace(recipe, steps=steps, muon_learning_rate=0.0)}
    for _ in range(budget.rounds):
        for side, short in sides.items():
            results[side].append(speed(run_ours(build_model(recipe, text), text, short, None), ours, skip))
        for side, (name, sampling) in trainers.items():
            clock = Clock()
            run_trainer(build_model(recipe, text), text, rows, recipe, steps, 1e-3, precision.PRECISIONS[name], clock,
                        sampling)
            results[side].append(speed(clock.ends, theirs, skip))
    return results, dtypes


def operations_per_token(text: Text, recipe: Recipe, steps: int = 8) -> dict[str, float]:
    """Multiplications and additions executed in matrix products, per token: the model's and Muon's."""
    model, batches = build_model(recipe, text), build_batches(recipe, text)
    optimizers = optim.build_optimizers(model, recipe.muon_learning_rate, recipe.learning_rate,
                                        precision.PRECISIONS[recipe.muon_precision])
    tokens, in_model, in_muon = 0, 0, 0
    for step in range(steps):
        batch = batches[step]
        tokens += int(batch.get("attention_mask", batch["input_ids"] >= 0).sum())
        with FlopCounterMode(display=False) as counter:
            sum(losses(model, batch, "bert").values()).backward()
        in_model += counter.get_total_flops()
        with FlopCounterMode(display=False) as counter:
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        in_muon += counter.get_total_flops()
    return {"model": in_model / tokens, "muon": in_muon / tokens}


class Look:
    """Measures the distance to the floor now and then, and remembers when each target was reached."""

    def __init__(self, model: Any, text: Text, exam: Any, steps: int, budget: Budget, targets: tuple[float, ...]):
        self.model, self.text, self.exam, self.targets = model, text, exam, targets
        self.every, self.steps, self.patience = max(1, steps // budget.looks), steps, budget.patience
        self.reached: dict[float, tuple[float, int]] = {}
        self.kl = float("inf")

    def __call__(self, step: int, seconds: float) -> bool:
        if step % self.every and step != self.steps:
            return True
        self.kl = evaluate.gap(self.model, self.text.tokenizer, self.exam)[0].kl
        for target in self.targets:
            if self.kl <= target:
                self.reached.setdefault(target, (seconds, step))
        return len(self.reached) < len(self.targets) and seconds < self.patience


def seconds_to_targets(text: Text, recipe: Recipe, budget: Budget, dtype: torch.dtype) -> dict[str, Any]:
    exam = text.world.exam(documents=budget.exam_documents, seed=1)
    rows = Rows(text, recipe, recipe.batch_size * max(budget.theirs))
    grid = {}
    for learning_rate in budget.grid:
        model = build_model(recipe, text)
        look = Look(model, text, exam, budget.grid_steps, replace_looks(budget, 1), ())
        run_trainer(model, text, rows, recipe, budget.grid_steps, learning_rate, dtype, Clock(look))
        grid[learning_rate] = look.kl
    best = min(grid, key=grid.get)
    result: dict[str, Any] = {"grid": grid, "best": best}
    for target, ours, theirs in zip(TARGETS, budget.ours, budget.theirs, strict=True):
        model = build_model(recipe, text)
        look = Look(model, text, exam, ours, budget, (target,))
        run_ours(model, text, replace(recipe, steps=ours), look)
        result["ours", target] = (look.reached.get(target), look.kl, ours)
        model = build_model(recipe, text)
        look = Look(model, text, exam, theirs, budget, (target,))
        run_trainer(model, text, rows, recipe, theirs, best, dtype, Clock(look))
        result["Trainer", target] = (look.reached.get(target), look.kl, theirs)
    return result


def replace_looks(budget: Budget, looks: int) -> Budget:
    return replace(budget, looks=looks)


# --------------------------------------------------------------------------------------------- the table


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_pretraining")
    parser.add_argument("--quick", action="store_true", help="a minute, to see that it runs")
    parser.add_argument("--no-targets", action="store_true", help="leave out the rows of seconds to the floor")
    options = parser.parse_args(arguments)
    logging.set_verbosity_error()
    budget = QUICK if options.quick else Budget()
    recipe = choose_precisions(Recipe(steps=max(budget.ours)))
    text = prepare_text(recipe)
    rates, dtypes = tokens_per_second(text, recipe, budget)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    trainer = max((f"Trainer {name}" for name in dtypes), key=medians.get)
    theirs = medians[trainer]
    limits = {name: max(precision.matmul_rate(precision.PRECISIONS[name], shape, seconds=0.5) for shape in SHAPES)
              for name in {recipe.precision, recipe.muon_precision}}
    operations = operations_per_token(text, recipe)
    limits_said = ", ".join(f"{rate / 1e9:.0f} {name}" for name, rate in limits.items())
    print("Pretraining, small world. " + method(recipe, dtypes, trainer))
    line("what", "ours", "against", "ratio")
    for side, optimizer in {"ours, AdamW": "AdamW as Trainer", "ours": "Muon and AdamW"}.items():
        ours, best = medians[side], max(rates[side]) / max(rates[trainer])
        line(f"tokens/s, {optimizer}", f"{ours:,.0f} (median)", f"{theirs:,.0f} ({trainer})",
             f"{ours / theirs:.2f} x (of the best runs {best:.2f} x)")
    grouped = "Trainer float32, grouped by length"
    line("  the same against batches grouped by length", "", f"{medians[grouped]:,.0f} ({grouped})",
         f"{medians['ours, AdamW'] / medians[grouped]:.2f} x, {medians['ours'] / medians[grouped]:.2f} x")
    shares = {}
    for side, counted in {"ours, AdamW": ("model",), "ours": ("model", "muon")}.items():
        settings = {"model": recipe.precision, "muon": recipe.muon_precision}
        done = sum(operations[part] for part in counted) * medians[side]
        shares[side] = sum(operations[part] / limits[settings[part]] for part in counted) * medians[side]
        line(f"GFLOP/s in matrix products, {side.removeprefix('ours, ').replace('ours', 'Muon and AdamW')}",
             f"{done / 1e9:.0f}", f"{limits_said} (limit)", f"{shares[side]:.2f}")
    result = {"rates": rates, "limits": limits, "operations_per_token": operations, "shares": shares}
    if options.no_targets:
        return result
    reached = seconds_to_targets(text, recipe, budget, precision.PRECISIONS[trainer.split()[1]])
    for target in TARGETS:
        sides = [said(*reached[side, target]) for side in ("ours", "Trainer")]
        both = [reached[side, target][0] for side in ("ours", "Trainer")]
        line(f"seconds to {target:.2f} nats above the floor", *sides,
             f"{both[1][0] / both[0][0]:.2f} x" if all(both) else "-")
    tried = ", ".join(f"{rate:g} ({kl:.3f} nats)" for rate, kl in reached["grid"].items())
    print(f"Trainer's learning rate: {reached['best']:g}, the best of {tried} after {budget.grid_steps} steps")
    return {**result, "targets": reached}


def said(reached: tuple[float, int] | None, kl: float, steps: int) -> str:
    if reached:
        return f"{reached[0]:.0f} s (step {reached[1]} of {steps})"
    return f"not reached: {kl:.3f} after {steps} steps or the time allowed"


def line(what: str, *cells: str) -> None:
    print(f"{what:46s}" + "".join(f"{cell:44s}" for cell in cells), flush=True)


def method(recipe: Recipe, dtypes: list[str], trainer: str) -> str:
    return (
        f"BertForPreTraining, {recipe.layers} layers, width {recipe.width}, {recipe.heads} heads, no dropout, "
        f"{recipe.batch_size} texts a step, {torch.get_num_threads()} threads; padding is not counted as tokens.\n"
        f"Ours: {recipe.precision}, Muon {recipe.muon_precision}. "
        f"Trainer: tried in {' and '.join(dtypes)}, the faster one counts ({trainer}); "
        "transformers' masking collator and its default sampler (batches grouped by length on a line of their own), "
        "fused AdamW, text tokenised beforehand, no logging, saving or evaluation, loader in the same process.\n"
        "Speed: runs in turns after some steps of warm-up. "
        "Limit: the best rate of one product of matrices of the sizes "
        + ", ".join("x".join(map(str, shape)) for shape in SHAPES)
        + " in the same precision; operations executed are counted by torch's FlopCounterMode, optimiser included.\n"
        "Seconds to the floor: training alone, without measuring the distance (exact KL on fresh text); each side with "
        "linear decay over the steps stated, looked at 40 times.\n")


if __name__ == "__main__":
    main()
