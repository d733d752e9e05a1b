"""Speed and accuracy of the fine-tuning loop against transformers' Trainer: rows of `make bench`.

    python -m tests.bench_finetuning            # a minute on two cores
    python -m tests.bench_finetuning --quick    # seconds: same code, too few examples to believe the numbers

Both sides start from the shipped world model with the same new head and read the same labelled pairs (the tone of a
story), in turns, so that a busy machine slows both. What is printed says the rest of the method.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import numpy as np
import torch
import transformers

from utils import models, pair_training, stats
from utils.finetune import Example, accuracy, encode, finetune, predict
from utils.loading import quiet
from utils.world import World

EPOCHS, BATCH_SIZE, LEARNING_RATE, WARMUP, WEIGHT_DECAY = 6, 32, 1e-3, 0.1, 0.01


class Rows(torch.utils.data.Dataset):
    """Examples as Trainer wants them."""

    def __init__(self, examples: list[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, row: int) -> Example:
        return self.examples[row]


def with_trainer(model: Any, tokenizer: Any, examples: list[Example], seed: int, folder: str) -> None:
    """The library's own loop, with everything off that is not training."""
    steps = EPOCHS * -(-len(examples) // BATCH_SIZE)
    arguments = transformers.TrainingArguments(
        output_dir=folder, num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE,
        warmup_steps=round(WARMUP * steps), weight_decay=WEIGHT_DECAY, max_grad_norm=1.0, lr_scheduler_type="linear",
        seed=seed, save_strategy="no", eval_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
        use_cpu=True, optim="adamw_torch_fused", dataloader_pin_memory=False,
    )  # fmt: skip
    collator = transformers.DataCollatorWithPadding(tokenizer)
    with quiet():
        transformers.Trainer(model, arguments, train_dataset=Rows(examples), data_collator=collator).train()


def with_ours(model: Any, tokenizer: Any, examples: list[Example], seed: int, folder: str) -> None:
    """The course's loop with the same settings."""
    finetune(model, tokenizer, examples, epochs=EPOCHS, batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE,
             warmup=WARMUP, weight_decay=WEIGHT_DECAY, seed=seed, progress=False)


def compare(seeds: int = 5, labelled: int = 256, tested: int = 1000) -> dict[str, dict[str, list[float]]]:
    """For "ours" and "Trainer": the accuracy and the examples per second of each seed."""
    world, loops = World("small"), {"ours": with_ours, "Trainer": with_trainer}
    test = pair_training.make_task(world, "tone", tested, pair_training.TEST_SEED)
    result: dict[str, dict[str, list[float]]] = {name: {"accuracy": [], "examples_per_second": []} for name in loops}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(-1, seeds):  # the first round warms up and is not counted
            task = pair_training.make_task(world, "tone", labelled, 10_000 + seed)
            for name, train in loops.items():
                model, tokenizer = models.load("world-small", head="sequence-classification", num_labels=2,
                                               seed=max(seed, 0))
                examples = encode(tokenizer, task.pairs, task.labels)
                started = time.perf_counter()
                train(model, tokenizer, examples, max(seed, 0), folder)
                speed = EPOCHS * len(examples) / (time.perf_counter() - started)
                if seed < 0:
                    continue
                answers = predict(model, tokenizer, encode(tokenizer, test.pairs)).argmax(-1)
                result[name]["accuracy"].append(accuracy(answers, test.labels).value)
                result[name]["examples_per_second"].append(speed)
    return result


def main(arguments: list[str] | None = None) -> dict[str, dict[str, list[float]]]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_finetuning")
    parser.add_argument("--quick", action="store_true", help="a few examples only")
    seeds, labelled, tested = (2, 64, 100) if parser.parse_args(arguments).quick else (5, 512, 1000)
    result = compare(seeds, labelled, tested)
    print(
        f"Fine-tuning world-small on {labelled} labelled pairs of sentences (tone), tested on {tested} fresh ones; "
        f"{seeds} seeds, each with pairs of its own, after one round of warm-up; float32, "
        f"{torch.get_num_threads()} threads.\n"
        f"Both: AdamW, learning rate {LEARNING_RATE:g} with {WARMUP:.0%} warm-up and linear decay, weight decay "
        f"{WEIGHT_DECAY:g}, {EPOCHS} epochs in batches of {BATCH_SIZE}. Trainer: its default sampler, no logging, "
        "saving or evaluation. Speed: examples over the seconds of the whole call, in turns; median over the seeds."
    )
    for name, values in result.items():
        speed = np.median(values["examples_per_second"])
        print(f"{name:8s} accuracy {stats.t_interval(values['accuracy'])}   {speed:.0f} examples/s (median)")
    accuracies, speeds = (np.array([result[name][what] for name in ("ours", "Trainer")])
                          for what in ("accuracy", "examples_per_second"))
    print(f"difference of the accuracies, paired by seed: {stats.t_interval(accuracies[0] - accuracies[1])}")
    print(f"speed, ours against Trainer: {np.median(speeds[0]) / np.median(speeds[1]):.2f} x")
    return result


if __name__ == "__main__":
    main()
