"""Wrong answers to the exercises of notebook 11, each with a fragment of the message it must get."""

IMPACT = """def impact_ratio(decisions, group):
    rates = [decisions[group == g].mean() for g in np.unique(group)]
    return {result}"""

GAP = """def odds_gap(decisions, truth, group):
    gaps = []
    for answer in (1, 0):
        rates = [decisions[(group == g) & (truth == answer)].mean() for g in np.unique(group)]
        gaps.append(max(rates) - min(rates))
    return {result}"""

FORCED = """def forced_fpr(p, ppv, fnr):
    return {result}"""

WEIGHTS = """def reweighed(labels, group):
    weights = np.empty(len(labels))
    for g in np.unique(group):
        for y in np.unique(labels):
            cell = (group == g) & (labels == y)
            weights[cell] = {result}
    return weights"""

WRONG = {
    "impact_ratio": [
        (IMPACT.format(result="max(rates) / min(rates)"), "highest rate over the lowest"),
        (IMPACT.format(result="max(rates) - min(rates)"), "difference of the rates"),
        (IMPACT.format(result="min(decisions[group == g].sum() for g in np.unique(group)) / "
                              "max(decisions[group == g].sum() for g in np.unique(group))"), "groups differ in size"),
        (IMPACT.format(result="(1 - max(rates)) / (1 - min(rates))"), "rates of refusal"),
        (IMPACT.format(result="rates[0] / rates[-1]"), "order of the groups' names"),
        (IMPACT.format(result="min(rates) / decisions.mean()"), "all people together"),
        (IMPACT.format(result="rates"), "single number"),
    ],
    "odds_gap": [
        (GAP.format(result="gaps[0]"), "true-positive rate only"),
        (GAP.replace("max(rates) - min(rates)", "rates[-1] - rates[0]").format(result="max(gaps, key=abs)"),
         "a gap is not negative"),
        (GAP.format(result="gaps[1]"), "false-positive rate only"),
        (GAP.format(result="sum(gaps) / 2"), "average the two gaps"),
        (GAP.format(result="sum(gaps)"), "add the two gaps"),
        (GAP.format(result="min(gaps)"), "smaller gap"),
        ("def odds_gap(decisions, truth, group):\n    gaps = []\n    for answer in (1, 0):\n"
         "        rates = [truth[(group == g) & (decisions == answer)].mean() for g in np.unique(group)]\n"
         "        gaps.append(max(rates) - min(rates))\n    return max(gaps)", "people with the same decision"),
        ("def odds_gap(decisions, truth, group):\n"
         "    rates = [decisions[group == g].mean() for g in np.unique(group)]\n    return max(rates) - min(rates)",
         "gap in selection rates"),
        ("def odds_gap(decisions, truth, group):\n"
         "    rates = [(decisions == truth)[group == g].mean() for g in np.unique(group)]\n"
         "    return max(rates) - min(rates)", "gap in accuracy"),
    ],
    "forced_fpr": [
        (FORCED.format(result="p / (1 - p) * (1 - ppv) / ppv * fnr"), "you multiply by FNR"),
        (FORCED.format(result="(1 - p) / p * (1 - ppv) / ppv * (1 - fnr)"), "base rate is upside down"),
        (FORCED.format(result="p / (1 - p) * ppv / (1 - ppv) * (1 - fnr)"), "precision is upside down"),
        (FORCED.format(result="p * (1 - ppv) / ppv * (1 - fnr)"), "share of the unqualified, 1 - p"),
        (FORCED.format(result="1 - ppv"), "that is 1 - PPV"),
        (FORCED.format(result="p / (1 - p) * (1 - ppv) * (1 - fnr)"), "division by PPV"),
        (FORCED.format(result="p / (1 - p) * (1 - ppv) / ppv"), "leave out 1 - FNR"),
    ],
    "reweighed": [
        (WEIGHTS.format(result="cell.mean() / ((group == g).mean() * (labels == y).mean())"), "upside down"),
        (WEIGHTS.format(result="1 / (4 * cell.mean())"), "all four cells weigh the same"),
        (WEIGHTS.format(result="1 / cell.mean()"), "that is 1 / P(group, label)"),
        (WEIGHTS.format(result="1 / cell.sum()"), "one over a count"),
        (WEIGHTS.format(result="1 / (group == g).mean()"), "group alone"),
        (WEIGHTS.format(result="1 / (labels == y).mean()"), "label alone"),
        (WEIGHTS.format(result="(group == g).mean() / cell.mean()"), "1 / P(label | group)"),
        (WEIGHTS.format(result="(labels == y).mean() / cell.mean()"), "1 / P(group | label)"),
        (WEIGHTS.format(result="1.0"), "all weights are 1"),
    ],
}
