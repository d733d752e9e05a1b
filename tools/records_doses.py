"""The sweep of notebook 09: models at several doses of two planted biases, every metric asked about both."""

from __future__ import annotations

from typing import Any

from tools.records import Sweep
from utils import evaluate, likelihood, response
from utils.recipe import Recipe
from utils.response import SETTINGS, WATCHED
from utils.world import World

DOSES = (-1.0, 0.0, 0.25, 0.5, 1.0, 2.0)
CORNERS = ((0.0, 0.0), (-1.0, -1.0), (-1.0, 2.0), (2.0, -1.0))  # (pronoun dose, valence dose)
STEPS = SETTINGS["steps"]
SEEDS, MANY = range(3), range(10)  # at zero a metric's own scatter is what is asked for
EXAM = {"documents": 200, "seed": 1}
SHORT = {"pronoun_dose": 1.0, "valence_dose": 1.0, "seed": 0, "steps": 100}  # repeated by a test in seconds


def cells() -> list[tuple[float, float, range]]:
    """(pronoun dose, valence dose, seeds): both arms, which share dose 1, and the corners."""
    arms = [(dose, 1.0) for dose in DOSES] + [(1.0, dose) for dose in DOSES if dose != 1.0]
    return [(*cell, MANY if 0.0 in cell else SEEDS) for cell in arms] + [(*cell, SEEDS) for cell in CORNERS]


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """All metrics of one model, or of the oracle; of a model also both slopes while it was trained."""
    world = World("small", pronoun_dose=point["pronoun_dose"], valence_dose=point["valence_dose"])
    if point.get("reader") == "oracle":
        reader = likelihood.reader_of(world)
        return {**response.pronouns(reader), **response.tone(reader), **response.finite(response.counted(world))}
    path: dict[str, list[float]] = {"slope": [], "tone_slope": []}

    def watch(training: Any) -> None:
        for name, value in response.finite(response.slopes(training)).items():
            path[name].append(value)

    settings = {**SETTINGS, **{name: value for name, value in point.items() if name != "reader"}}
    training = response.train(Recipe(**settings), watch)
    model, tokenizer = training.model.float(), training.tokenizer
    model.set_attn_implementation("eager")  # which keeps the attention weights, for AULA
    reader = likelihood.reader_of(model, tokenizer)
    gap, _ = evaluate.gap(model, tokenizer, world.exam(**EXAM))
    asked = {} if point == SHORT else {**response.pronouns(reader, model, tokenizer),
                                       **response.tone(reader, model, tokenizer)}
    return {**asked, "mlm_kl": round(gap.kl, 5), **{f"path_{name}": values for name, values in path.items()}}


DOSES_SWEEP = Sweep(
    about="Small BERTs pretrained on worlds in which two planted associations are scaled: between occupation and "
    "pronoun (pronoun_dose) and between community and tone (valence_dose). One arm for each with the other at 1, ten "
    "seeds at zero and three elsewhere, and corners where both are changed; a seed has the same first weights, "
    "and as nearly the same stories as the doses allow. Every metric of notebook 08, about the pronoun and (tone_) "
    f"about the communities; slope: of the log-probability bias on what dose 1 plants; path_: slopes after {WATCHED} "
    "steps. Rows with reader oracle: the same metrics asked of the exact probabilities. Last, a short run that a test "
    "repeats.",
    points=[
        *({"reader": "oracle", "pronoun_dose": pronoun, "valence_dose": valence, "seed": 0}
          for pronoun, valence, _ in cells()),
        *({"reader": "model", "pronoun_dose": pronoun, "valence_dose": valence, "seed": seed, "steps": STEPS}
          for seed in MANY for pronoun, valence, seeds in cells() if seed in seeds),
        SHORT,
    ],
    measure=measure,
)
