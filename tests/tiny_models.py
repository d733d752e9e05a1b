"""Tiny models with random weights, saved as `from_pretrained` folders, for the tests of loading."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

from utils import loading

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "baker", "sings", "she", "he", "."]
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def write_checkpoint(folder: Path, kind: str = "BertForPreTraining", half: bool = True) -> Path:
    """Save a tiny model with random weights and its tokenizer, as a `from_pretrained` folder."""
    with loading.quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **TINY)
        model = getattr(transformers, kind)(config)
        (model.half() if half else model).save_pretrained(folder)
        tokenizer = transformers.BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)})
        tokenizer.save_pretrained(folder)
    return folder


def change_json(file: Path, **values: object) -> None:
    """Set values of a JSON file."""
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(content | values))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change a checkpoint's tensors in place."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
