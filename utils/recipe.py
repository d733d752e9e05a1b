"""What a pretraining is made of: its settings, its model, its text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    BertConfig,
    BertForPreTraining,
    GPT2Config,
    GPT2LMHeadModel,
    RobertaConfig,
    RobertaForMaskedLM,
)

from utils import corpus
from utils.corpus import SINGLE_SHARE, EncodedCorpus, PairBatches
from utils.textfiles import CorpusError, read_documents

if TYPE_CHECKING:  # a learner's own text needs no world
    from utils.world import World
    from utils.world.labels import Document

OBJECTIVES = ("bert", "roberta", "gpt2")
KINDS = {"bert": "nsp", "roberta": "plain", "gpt2": "plain"}  # only BERT reads wrong next sentences
MAX_LENGTH = 128  # tokens that a model can read, special tokens included
LONGEST_SENTENCE = (MAX_LENGTH - 3) // 2  # so that any two fit between [CLS], [SEP] and [SEP]
TRAINING_TEXT_SEEDS = 2**20  # the world's text for training is drawn with seeds from here on, exams below
EPOCHS = 3  # how often a document of the world is read; always with other masks and other wrong neighbours
HELD_OUT = 0.1  # share of a learner's own documents that is kept for measuring
FEWEST_TO_HOLD_OUT = 10  # documents


@dataclass(frozen=True)
class Recipe:
    """The settings of a pretraining. The defaults were chosen by measurement on the small world (notebook 04).

    text: the learner's own files; empty for a world. learning_rate is AdamW's, muon_learning_rate that of the
    encoder's matrices (0: AdamW for all). warmup: share of the steps. batch_size: pairs per process and step.
    """

    objective: str = "bert"
    world: str = "small"
    pronoun_dose: float = 1.0
    valence_dose: float = 1.0
    text: tuple[str, ...] = ()
    vocab_size: int = 4000  # of the WordPiece vocabulary learned from the learner's own text
    steps: int = 1800
    batch_size: int = 64
    learning_rate: float = 2e-3
    muon_learning_rate: float = 5e-3
    warmup: float = 0.03
    seed: int = 0
    layers: int = 2
    width: int = 128
    heads: int = 4
    initializer_range: float = 0.06  # larger than BERT's 0.02, which suits a width of 768
    precision: str = ""  # of the model, "float32" or "bfloat16"; empty: whichever a timed layer finds faster
    muon_precision: str = ""  # of Muon's step; empty: whichever a timed matrix product finds faster

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective={self.objective!r} is unknown; use one of {', '.join(OBJECTIVES)}.")
        if self.world not in ("small", "full"):
            raise ValueError(f"world={self.world!r} is unknown; use 'small' or 'full'.")
        for name in ("steps", "batch_size", "layers", "width", "heads", "vocab_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is too small; give 1 or more.")
        if self.width % self.heads:
            raise ValueError(f"width={self.width} cannot be divided among heads={self.heads}; choose a multiple.")

    def differences(self) -> dict[str, Any]:
        """The settings that are not the default ones."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them; `from_dict` makes the recipe of them again."""
        return {**asdict(self), "text": list(self.text)}

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Recipe:
        """The recipe of settings that `as_dict` gave."""
        return cls(**{**settings, "text": tuple(settings["text"])})


@dataclass
class Text:
    """Text ready for training. held_out is None for a world (its oracle is better) and for very little text."""

    tokenizer: Any
    training: EncodedCorpus
    held_out: EncodedCorpus | None = None
    world: Any = None


def prepare_text(recipe: Recipe, processes: int = 1) -> Text:
    """Sample the world or read the learner's files, and encode them. Raises CorpusError for unusable files."""
    if recipe.text:
        return _own_text(recipe)
    from utils.world import World  # a learner's own text needs no world

    world = World(recipe.world, pronoun_dose=recipe.pronoun_dose, valence_dose=recipe.valence_dose)
    tokenizer = corpus.build_tokenizer(world.vocabulary, MAX_LENGTH)
    return Text(tokenizer, corpus.encode(stories_of(recipe, world, processes), tokenizer), world=world)


def stories_of(recipe: Recipe, world: World, processes: int = 1) -> list[Document]:
    """The stories that a recipe reads."""
    pairs_per_document = 4  # about; only to choose how much text to draw
    documents = recipe.steps * recipe.batch_size * processes // (EPOCHS * pairs_per_document)
    return world.documents(max(2000, documents), TRAINING_TEXT_SEEDS + recipe.seed)


def _own_text(recipe: Recipe) -> Text:
    documents = read_documents(recipe.text)
    if len(documents) == 1 and recipe.objective == "bert":
        raise CorpusError(f"{', '.join(map(str, recipe.text))} holds one document, so no wrong next sentence can be "
                          "drawn; put blank lines between documents, or use --objective roberta or gpt2.")
    held_out = documents[:: round(1 / HELD_OUT)] if len(documents) >= FEWEST_TO_HOLD_OUT else []
    training = [document for index, document in enumerate(documents) if index % round(1 / HELD_OUT) or not held_out]
    lines = [line for document in training for line in document]
    tokenizer = corpus.train_wordpiece(lines, recipe.vocab_size, MAX_LENGTH)
    encoded = [corpus.encode(part, tokenizer, LONGEST_SENTENCE) if part else None for part in (training, held_out)]
    return Text(tokenizer, *encoded)


def build_batches(recipe: Recipe, text: Text, part: EncodedCorpus | None = None, processes: int = 1) -> PairBatches:
    """Batches of the training text, or of another ``part``, for the recipe's objective."""
    single_share = 0.0 if recipe.objective == "gpt2" else SINGLE_SHARE
    return PairBatches(part or text.training, text.tokenizer, recipe.batch_size * processes, recipe.seed,
                       KINDS[recipe.objective], mask=recipe.objective != "gpt2", single_share=single_share)


def build_model(recipe: Recipe, text: Text) -> Any:
    """A model with random weights that depend on the recipe's seed alone."""
    tokenizer, size = text.tokenizer, {"vocab_size": len(text.tokenizer), "initializer_range": recipe.initializer_range}
    special = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.cls_token_id,
               "eos_token_id": tokenizer.sep_token_id}
    encoder = {"hidden_size": recipe.width, "num_hidden_layers": recipe.layers, "num_attention_heads": recipe.heads,
               "intermediate_size": 4 * recipe.width, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    with torch.random.fork_rng(devices=[]):  # transformers initialises from the global generator
        torch.manual_seed(recipe.seed)
        if recipe.objective == "gpt2":
            config = GPT2Config(**size, **special, n_embd=recipe.width, n_layer=recipe.layers, n_head=recipe.heads,
                                n_positions=MAX_LENGTH, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
            return GPT2LMHeadModel(config).train()
        if recipe.objective == "roberta":  # its positions are counted from pad_token_id + 1
            config = RobertaConfig(**size, **special, **encoder, type_vocab_size=1, layer_norm_eps=1e-12,
                                   max_position_embeddings=MAX_LENGTH + tokenizer.pad_token_id + 1)
            model = RobertaForMaskedLM(config).train()
            output_bias = model.lm_head.bias
        else:
            config = BertConfig(**size, **encoder, pad_token_id=tokenizer.pad_token_id,
                                max_position_embeddings=MAX_LENGTH)
            model = BertForPreTraining(config).train()
            output_bias = model.cls.predictions.bias
    # Begin where a model that knows only how frequent each word is would be, instead of learning it first.
    counts = torch.bincount(text.training.tokens, minlength=len(tokenizer)).float() + 0.5
    with torch.no_grad():
        output_bias.copy_((counts / counts.sum()).log())
    return model
