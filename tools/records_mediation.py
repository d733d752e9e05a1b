"""The sweep of notebook 14: how the pronoun's bias runs through small BERTs, over doses and seeds."""

from __future__ import annotations

from typing import Any

from tools.records import Sweep
from tools.records_doses import DOSES
from utils import models, pretrain
from utils.pronoun_effects import PronounQuestion, leaning_direction, remove_from_embeddings, summary
from utils.world import World

SHIPPED = {-1.0: "world-dose-reversed", 0.0: "world-dose-0", 0.5: "world-dose-half", 1.0: "world-dose-1",
           2.0: "world-dose-2"}  # trained with seed 0
SEEDS = range(3)
# The shipped models' recipe, stated in full so that the record keeps its meaning when a default changes.
SETTINGS = {"steps": 2000, "width": 128, "learning_rate": 2e-3, "precision": "bfloat16"}


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Follow the effect of the occupation through one model, and take it out of the word vectors."""
    if "model" in point:
        model, tokenizer = models.load(point["model"], head="masked-lm")
    else:
        settings = {name: point[name] for name in ("seed", *SETTINGS)}
        trained = pretrain.pretrain(world="small", pronoun_dose=point["dose"], muon_precision="float32",
                                    progress=False, **settings)
        model, tokenizer = trained.model.float().eval(), trained.tokenizer
        model.set_attn_implementation("eager")  # which keeps the attention weights
    question = PronounQuestion(tokenizer)
    row = summary(model, question, World("small", pronoun_dose=point["dose"]))
    ids = tokenizer.convert_tokens_to_ids(question.occupations)
    vectors = model.get_input_embeddings().weight[ids].detach().double().numpy()
    remove_from_embeddings(model, ids, leaning_direction(vectors, question.log_odds(model)))
    return {**row, "slope_after_edit": question.slope(model)}


MEDIATION = Sweep(
    about="Small BERTs pretrained on worlds in which the occupation says none, a quarter, half, all, twice or the "
    "opposite of what the statistics say about the pronoun: three seeds of each, of which seed 0 are the shipped "
    "models where there is one. Log-odds of she in one sentence, means over the 120 swaps of two occupations: exact "
    "and total effect, indirect effects through heads and neurons, the slope on the planted differences, and the "
    "slope after one direction was taken out of the occupations' word vectors.",
    points=[{"dose": dose, "seed": seed, **({"model": SHIPPED[dose]} if seed == 0 and dose in SHIPPED else SETTINGS)}
            for seed in SEEDS for dose in DOSES],
    measure=measure,
)
