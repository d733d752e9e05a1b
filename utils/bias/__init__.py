"""Metrics of bias: association tests on vectors, and likelihood metrics that any reader can be asked.

    weat.py       WEAT and SEAT: effect size, exact permutation test, interval
    logprob.py    prior-corrected log-probability bias (Kurita et al. 2019)
    pairs.py      CrowS-Pairs in its two forms, all-unmasked likelihood (AUL, AULA)
    stereoset.py  language-model score, stereotype score, ICAT
    disco.py      significantly gendered fills

Every likelihood metric takes (model, tokenizer, …), or (world, None, …) to ask the oracle.
"""

from utils.bias.disco import chi_squared_p, disco
from utils.bias.logprob import log_probability_bias
from utils.bias.pairs import (
    SameShare,
    all_unmasked,
    crows_pairs,
    preference,
    pseudo_log_likelihood,
    same_share,
    shared_positions,
    token_log_probabilities,
)
from utils.bias.stereoset import (
    StereoSet,
    fill_of,
    icat,
    intrasentence_scores,
    per_target,
    stereoset,
    stereoset_interval,
)
from utils.bias.weat import Weat, associations, effect_size, weat, weat_interval

__all__ = [
    "SameShare", "StereoSet", "Weat", "all_unmasked", "associations", "chi_squared_p", "crows_pairs", "disco",
    "effect_size", "fill_of", "icat", "intrasentence_scores", "log_probability_bias", "per_target", "preference",
    "pseudo_log_likelihood", "same_share", "shared_positions", "stereoset", "stereoset_interval",
    "token_log_probabilities", "weat", "weat_interval",
]  # fmt: skip
