"""StereoSet: counts worked by hand, published figures, a bootstrap written out, the oracle, the real clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.data_fixtures import REAL, needs_real
from utils import bias, datasets
from utils.bias import planted
from utils.world import World


@pytest.fixture
def real(monkeypatch) -> None:
    monkeypatch.setenv("COURSE_DATA_MIRROR", str(REAL))


@pytest.fixture(scope="module")
def worlds() -> dict[float, World]:
    return {dose: World(pronoun_dose=dose) for dose in (-1.0, 0.0, 0.5, 1.0)}


def test_stereoset_by_hand():
    clusters = pd.DataFrame({"target": ["a", "a", "b"]})
    scores = pd.DataFrame({"stereotype": [3, 1, 2], "anti_stereotype": [1, 2, 2], "unrelated": [0, 1.5, 2]})
    # a: lms (2 + 1) of 4 comparisons, ss 1 of 2; b: a tie with the unrelated option is lost, and so is one with the
    # anti-stereotype: lms 0, ss 0
    result = bias.stereoset(scores, clusters)
    assert (result.lms, result.ss) == ((75 + 0) / 2, (50 + 0) / 2)
    assert result.icat == pytest.approx(37.5 * 25 / 50)
    with pytest.raises(ValueError, match="every cluster"):
        bias.stereoset(scores.head(2), clusters)


@pytest.mark.parametrize(
    "lms, ss, published",
    [
        (85.77, 59.56, 69.38),
        (83.02, 58.68, 68.61),
        (88.53, 60.43, 70.06),
        (85.98, 50.16, 85.70),
        (66.78, 44.75, 59.77),
        (76.26, 52.28, 72.79),
    ],
)
def test_icat_of_published_rows(lms, ss, published):
    assert bias.icat(lms, ss) == pytest.approx(published, abs=0.02)


@needs_real
def test_stereoset_on_the_real_clusters_equals_a_plain_count(real):
    """Scores with many ties, on the 79 real target terms; counted again with dictionaries, as the scorer does it."""
    clusters = datasets.load("stereoset")
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(
        rng.integers(0, 4, (len(clusters), 3)), columns=["stereotype", "anti_stereotype", "unrelated"]
    )
    terms: dict[str, dict[str, float]] = {}
    for term, (s, a, u) in zip(clusters["target"], scores.itertuples(index=False), strict=True):
        count = terms.setdefault(term, {"pro": 0.0, "related": 0.0, "total": 0.0})
        count["total"] += 1
        count["pro"] += s > a
        count["related"] += (s > u) + (a > u)
    lms = np.mean([100 * c["related"] / (2 * c["total"]) for c in terms.values()])
    ss = np.mean([100 * c["pro"] / c["total"] for c in terms.values()])
    result = bias.stereoset(scores, clusters)
    assert (result.lms, result.ss) == pytest.approx((lms, ss), abs=1e-9)
    assert len(bias.per_target(scores, clusters)) == 79
    low, high = bias.stereoset_interval(scores, clusters, resamples=200)["ss"]
    assert low < result.ss < high


@needs_real
def test_fills_of_the_real_contexts(real):
    table = datasets.load("stereoset")
    inside = table[(table["kind"] == "intrasentence") & (table["blanks"] == 1) & ~table["blank_glued"]]
    glued = 0
    for row in inside.to_dict("records"):
        for label in ("stereotype", "anti_stereotype", "unrelated"):
            fill = bias.fill_of(row["context"], row[label])
            assert fill
            glued += fill.lower() not in row[label].lower()
    assert glued <= 6  # fills with a hyphen or an apostrophe lose it, as in the published scorer


def test_intrasentence_scores_by_hand(worlds):
    world = worlds[1.0]
    clusters = planted.pronoun_clusters(world).head(7)
    scores = bias.intrasentence_scores(world, None, clusters)
    exact = world.masked_distribution(clusters["context"][0].replace("BLANK", "[MASK]"))
    assert scores["stereotype"][0] == pytest.approx(exact["she"], abs=1e-9) and scores["unrelated"][0] == 0
    assert len(scores) == 7


def test_stereoset_asked_of_the_oracle_counts_signs(worlds):
    clusters = planted.pronoun_clusters(worlds[1.0])
    results = {
        dose: bias.stereoset(bias.intrasentence_scores(w, None, clusters), clusters) for dose, w in worlds.items()
    }
    assert {dose: r.ss for dose, r in results.items()} == {-1.0: 0, 0.0: 50, 0.5: 100, 1.0: 100}
    assert all(r.lms == 100 for r in results.values())

def test_stereoset_interval_is_a_bootstrap_of_terms():
    """Against a bootstrap written out: whole terms are drawn, and ICAT is computed within each draw."""
    rng = np.random.default_rng(4)
    sizes = rng.integers(1, 30, 12)  # clusters of each of 12 terms
    clusters = pd.DataFrame({"target": np.repeat([f"term {k}" for k in range(12)], sizes)})
    liking = np.repeat(rng.normal(0.5, 1.5, 12), sizes)  # clusters of one term are alike
    scores = pd.DataFrame(rng.normal(size=(sizes.sum(), 3)), columns=["stereotype", "anti_stereotype", "unrelated"])
    scores["stereotype"] += liking

    terms = []
    for term in clusters["target"].unique():
        own = scores[clusters["target"] == term].to_numpy()
        terms.append((50 * np.mean([int(s > u) + int(a > u) for s, a, u in own]),
                      100 * np.mean([s > a for s, a, _ in own])))
    draw, drawn = np.random.default_rng(5), {"lms": [], "ss": [], "icat": []}
    for _ in range(4000):
        chosen = [terms[k] for k in draw.integers(12, size=12)]
        lms, ss = (sum(values) / 12 for values in zip(*chosen, strict=True))
        for name, value in (("lms", lms), ("ss", ss), ("icat", lms * min(ss, 100 - ss) / 50)):
            drawn[name].append(value)
    ends = bias.stereoset_interval(scores, clusters, resamples=4000)
    for name, values in drawn.items():
        assert ends[name] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=1.2), name
    won = (scores["stereotype"] > scores["anti_stereotype"]).to_numpy() * 100.0
    over_clusters = [won[draw.integers(len(won), size=len(won))].mean() for _ in range(1000)]
    assert np.ptp(ends["ss"]) > 1.3 * np.ptp(np.quantile(over_clusters, [0.025, 0.975]))
