"""Pretrain a small model from scratch, in a notebook or from the command line.

    result = pretrain(world="small", steps=1800)                 # result.model, result.tokenizer, result.history
    python -m utils.pretrain --out DIR --world small --steps 1800
    python -m utils.pretrain --out DIR --resume                  # after Ctrl-C, a crash or a full disk
    python -m utils.pretrain --out DIR --text mine.txt           # your own text: UTF-8, a sentence per line
    accelerate launch --multi_gpu --num_processes 2 -m utils.pretrain --out DIR     # without GPUs: two CPU processes

Objectives: "bert" (masked words and next sentence), "roberta" (masked words, neighbouring sentences only) and
"gpt2" (each word from the words before it). Budgets are steps, so a run can be repeated; seconds are reported.
The loop is :func:`train`; everything else prepares it or writes down what it did.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from utils import checkpoint, distributed, optim
from utils.corpus import IGNORED, CorpusError, PairBatches
from utils.forward import losses, separate
from utils.precision import PRECISIONS, choose_dtype, choose_product_dtype, name_of
from utils.recipe import OBJECTIVES, Recipe, build_batches, build_model, prepare_text
from utils.training_record import Training, record_of, report

OnStep = Callable[[int, float, dict[str, float]], None]
CHECKPOINT_SECONDS = 30.0  # at most this much work is lost by a crash


# ------------------------------------------------------------------------------------------ the loop


def train(training: Training, batches: PairBatches, optimizers: list[torch.optim.Optimizer], dtype: torch.dtype,
          after_step: Callable[[], bool]) -> None:
    """The training loop. It goes on from the end of the history; ``after_step()`` says whether to go on."""
    model, recipe, group = training.model, training.recipe, distributed.group()
    started = time.perf_counter() - (training.history[-1]["seconds"] if training.history else 0.0)
    for step in range(len(training.history), recipe.steps):
        factor = optim.schedule(step, recipe.steps, recipe.warmup)
        optim.set_learning_rate(optimizers, factor)
        part, whole = group.part_of(batches[step])  # the same, when one process trains alone
        part = {name: tensor.to(model.device) for name, tensor in part.items()}
        with torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32):
            parts = losses(model, part, recipe.objective)
        parts = {name: loss * share_of(name, part, whole, model.config.eos_token_id) for name, loss in parts.items()}
        sum(parts.values()).backward()
        group.add_up_gradients(model)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        values = group.add_up({name: loss.item() for name, loss in parts.items()})
        training.tokens += int(whole.get("attention_mask", whole["input_ids"] >= 0).sum())
        training.history.append({"step": step + 1, "seconds": time.perf_counter() - started, **values,
                                 "learning_rate": recipe.learning_rate * factor})
        if not after_step():
            return


def share_of(loss: str, part: dict[str, Tensor], whole: dict[str, Tensor], separator_id: int | None = None) -> float:
    """Which share of the places that a loss scores in a batch this process has: 1 when it trains alone."""
    name = "next_sentence_label" if loss == "nsp_loss" else "labels"
    if len(part[name]) == len(whole[name]):
        return 1.0
    mine, all_of_them = part[name], whole[name]
    if loss in ("causal_loss", "separator_loss"):  # the first token of a row has no one before it to foresee it
        chosen = 0 if loss == "separator_loss" else 1
        mine, all_of_them = (separate(labels[:, 1:], separator_id)[chosen] for labels in (mine, all_of_them))
    return int((mine != IGNORED).sum()) / max(int((all_of_them != IGNORED).sum()), 1)


# ---------------------------------------------------------------------------- before and after the loop


def pretrain(out: str | Path | None = None, *, resume: bool = False, on_step: OnStep | None = None,
             progress: bool | None = None, **settings: Any) -> Training:
    """Pretrain a model and, with ``out``, leave it there as a ``from_pretrained`` folder.

    settings: the fields of :class:`utils.recipe.Recipe` (objective, world, steps, seed, layers, …).
    on_step(step, seconds, losses) is called after each step, for live plots. progress: a bar, by default only
    on a terminal. An interrupt (Ctrl-C, the stop button) ends it after the current step; what is reached is
    returned, and saved if there is a folder. The distances to the floors are in ``record["distance"]``.

    Raises CorpusError for unusable text, CheckpointError when the folder cannot be used, ValueError for
    settings that make no sense.
    """
    folder, group = Path(out) if out is not None else None, distributed.group()
    recipe, facts = _begin(folder, resume, settings)
    text = prepare_text(recipe, group.size)
    training = Training(build_model(recipe, text).to(group.device), text.tokenizer, recipe)
    dtype = PRECISIONS[recipe.precision]
    optimizers = optim.build_optimizers(training.model, recipe.muon_learning_rate, recipe.learning_rate,
                                        PRECISIONS[recipe.muon_precision])
    if facts:
        checkpoint.load_state(folder, training.model, optimizers)
        training.history, training.tokens = facts["history"], facts["tokens"]

    def save() -> None:
        if folder and group.rank == 0:
            state = {"recipe": recipe.as_dict(), "history": training.history, "tokens": training.tokens,
                     "processes": group.size}
            checkpoint.save_state(folder, training.model, optimizers, state)

    batches = build_batches(recipe, text, processes=group.size)
    save()  # at once, so that a folder that cannot be written to is noticed before the work, not after it
    with _stop_after_step() as stop, _bar(recipe, training, progress) as bar:
        train(training, batches, optimizers, dtype, _after_step(training, bar, on_step, save, stop))
    if not training.finished:
        save()
        return training
    training.model.eval()
    training.record = record_of(training, folder, text)
    if folder and group.rank == 0:
        training.record = checkpoint.save_finished(folder, training.model, training.tokenizer, training.record)
    group.wait()
    return training


def _begin(folder: Path | None, resume: bool, settings: dict[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """The recipe, and the facts of the saved state when there is one to go on from."""
    if not resume:
        if folder and (folder / checkpoint.STATE).exists():
            raise checkpoint.CheckpointError(
                f"{folder} holds an interrupted training; add --resume (resume=True) to go on, or delete "
                f"{checkpoint.STATE} there to start over.")
        return choose_precisions(Recipe(**settings)), {}
    if folder is None:
        raise ValueError("resume=True needs the folder of the interrupted training; give out=FOLDER.")
    facts = checkpoint.load_facts(folder)
    recipe = Recipe.from_dict(facts["recipe"])
    for name, value in settings.items():
        if value != getattr(recipe, name):
            raise ValueError(f"The interrupted training has {name}={getattr(recipe, name)!r}, not {value!r}; "
                             "leave the setting out to go on with it, or start over in another folder.")
    before, now = facts.get("processes", distributed.group().size), distributed.group().size
    if before != now:
        raise ValueError(f"The interrupted training ran on {before} process(es), not {now}, and the batches grow with "
                         "their number; go on with the same number, or start over in another folder.")
    return recipe, facts


def choose_precisions(recipe: Recipe) -> Recipe:
    """The recipe with its precisions filled in, the same ones in every process."""
    chosen = {"precision": recipe.precision or name_of(choose_dtype()),
              "muon_precision": recipe.muon_precision or recipe.precision or name_of(choose_product_dtype())}
    for name, value in chosen.items():
        if distributed.group().agree(value == "float32"):  # also: nobody goes on before all have looked for a state
            chosen[name] = "float32"
    return replace(recipe, **chosen)


def _after_step(training: Training, bar: tqdm, on_step: OnStep | None, save: Callable[[], None],
                stop: threading.Event) -> Callable[[], bool]:
    """What happens between two steps: the bar, the live plot, a checkpoint now and then, and the stop."""
    group, saved = distributed.group(), time.monotonic()

    def after_step() -> bool:
        nonlocal saved
        now = training.history[-1]
        values = {name: value for name, value in now.items() if name.endswith("_loss")}
        bar.update()
        if now["step"] % 10 == 0:
            bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()}, refresh=False)
        if on_step:
            on_step(now["step"], now["seconds"], values)
        if time.monotonic() - saved > CHECKPOINT_SECONDS and not training.finished:
            save()
            saved = time.monotonic()
        return not group.agree(stop.is_set())

    return after_step


def _bar(recipe: Recipe, training: Training, progress: bool | None) -> tqdm:
    hidden = None if progress is None else not progress  # tqdm: None means "unless this is a terminal"
    return tqdm(total=recipe.steps, initial=len(training.history), unit="step", leave=False,
                disable=True if distributed.group().rank else hidden)


@contextlib.contextmanager
def _stop_after_step() -> Iterator[threading.Event]:
    """Let an interrupt finish the current step, so that nothing is saved half-updated. A second one does not wait."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def handle(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, before[number])

    for number in signals:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number in signals:
            signal.signal(number, before[number])


# ------------------------------------------------------------------------------------------ command line


def parse(arguments: list[str] | None = None) -> dict[str, Any]:
    """Command line to arguments of :func:`pretrain`; only what was given, so that --resume can compare."""
    parser = argparse.ArgumentParser(prog="python -m utils.pretrain", argument_default=argparse.SUPPRESS,
                                     description="Pretrain a small model from scratch.")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the model")
    parser.add_argument("--resume", action="store_true", help="go on with the interrupted training in DIR")
    parser.add_argument("--text", nargs="+", metavar="FILE", help="your own text (UTF-8, a sentence per line, "
                        "a blank line between documents) instead of the world")
    parser.add_argument("--objective", choices=OBJECTIVES)
    parser.add_argument("--world", choices=("small", "full"))
    for name in ("--precision", "--muon-precision"):
        parser.add_argument(name, choices=tuple(PRECISIONS))
    for name, kind in {"steps": int, "batch_size": int, "seed": int, "layers": int, "width": int, "heads": int,
                       "vocab_size": int, "learning_rate": float, "muon_learning_rate": float, "warmup": float,
                       "initializer_range": float, "pronoun_dose": float, "valence_dose": float}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__.upper(),
                            help=f"default {getattr(Recipe, name)}")
    given = vars(parser.parse_args(arguments))
    if "text" in given:
        given["text"] = tuple(given["text"])
    return given


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit codes: 0 finished, 1 an error said in one sentence, 130 interrupted and saved."""
    given = parse(arguments)
    chief = distributed.group().rank == 0
    try:
        training = pretrain(**given)
    except (CorpusError, checkpoint.CheckpointError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not training.finished:
        if chief:
            print(f"Stopped after step {len(training.history)} of {training.recipe.steps}; go on with: "
                  f"python -m utils.pretrain --out {given['out']} --resume")
        return 130
    if chief:
        print(report(training))
    return 0


if __name__ == "__main__":
    sys.exit(main())
