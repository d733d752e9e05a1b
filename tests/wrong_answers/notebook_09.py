"""Wrong answers to the exercises of notebook 09, each with a fragment of the message it must get."""

RESPONSE = """def slope_and_rank(doses, values):
    x, y = doses - doses.mean(), values - values.mean()
    slope, ranks = {slope}, {ranks}
    return slope, {rank}"""
SLOPE = "(x * y).sum() / (x * x).sum()"
RANKS = "(pd.Series(doses).rank(), pd.Series(values).rank())"
RANK = "np.corrcoef(*ranks)[0, 1]"

INTERVAL = """def prediction_interval(zeros):
    n, mean, s = len(zeros), zeros.mean(), zeros.std({ddof})
    half = {half}
    return mean - half, mean + half"""

AMPLIFICATION = """def amplification(planted, picked):
    return {formula}"""

CHANGE = """def first_order_change(of_q, of_loss, rate):
    dot = sum((of_q[name] * of_loss[name]).sum() for name in of_q)
    return {formula}"""


def _response(slope=SLOPE, ranks=RANKS, rank=RANK):
    return RESPONSE.format(slope=slope, ranks=ranks, rank=rank)


def _interval(half, ddof="ddof=1"):
    return INTERVAL.format(half=half, ddof=ddof)


WRONG = {
    "slope_and_rank": [
        (_response(slope="(doses * values).sum() / (doses * doses).sum()"), "through the origin"),
        (_response(slope="(x * y).sum() / (y * y).sum()"), "slope of the dose on the metric"),
        (_response(slope="np.corrcoef(doses, values)[0, 1]"), "metric's units per dose"),
        (_response(slope="(values[-1] - values[0]) / (doses[-1] - doses[0])"), "the first and the last value"),
        (_response(slope="np.cov(doses, values)[0, 1] / np.var(doses)"), "a variance over n (np.cov"),
        (_response(slope="(x * y).mean() / np.var(doses, ddof=1)"), "a variance over n - 1"),
        (_response(ranks="(np.argsort(np.argsort(doses)), np.argsort(np.argsort(values, kind='stable')))"),
         "share the mean"),
        (_response(ranks="(np.argsort(doses), np.argsort(values))"), "which rank a value has"),
        (_response(ranks="(doses, values)"), "take their ranks first"),
        (_response(ranks="(doses, pd.Series(values).rank())"), "rank both"),
        (_response(rank="-np.corrcoef(*ranks)[0, 1]"), "rises with the dose"),
        (_response(rank="1 - 6 * ((ranks[0] - ranks[1]) ** 2).sum() / (len(doses) * (len(doses) ** 2 - 1))"),
         "without ties only"),
        (_response(slope="np.polyfit(doses, values, 1)[1]"), "intercept of the line"),
        ("def slope_and_rank(doses, values):\n    return np.polyfit(doses, values, 1)[0]", "return two numbers"),
    ],
    "prediction_interval": [
        (_interval("scipy_stats.t.ppf(0.975, n - 1) * s / np.sqrt(n)"), "interval of the mean; one more"),
        (_interval("scipy_stats.t.ppf(0.975, n - 1) * s"), "itself uncertain"),
        (_interval("1.96 * s * np.sqrt(1 + 1 / n)"), "1.96 of the normal"),
        (_interval("scipy_stats.t.ppf(0.975, n - 1) * s * np.sqrt(1 + 1 / n)", ddof=""), "divides by n;"),
        (_interval("scipy_stats.t.ppf(0.975, n) * s * np.sqrt(1 + 1 / n)"), "used up one"),
        (_interval("scipy_stats.t.ppf(0.95, n - 1) * s * np.sqrt(1 + 1 / n)"), "5 % on each side"),
        (_interval("scipy_stats.t.ppf(0.975, n - 1) * s * (1 + 1 / n)"), "variances add"),
        ("def prediction_interval(zeros):\n    return zeros.min(), zeros.max()", "smallest and the largest"),
        ("def prediction_interval(zeros):\n    n = len(zeros)\n"
         "    return scipy_stats.t.ppf(0.975, n - 1) * zeros.std(ddof=1) * np.sqrt(1 + 1 / n)", "half the width"),
        (_interval("scipy_stats.norm.ppf(0.975) * s"), "a known mean and spread"),
    ],
    "amplification": [
        (AMPLIFICATION.format(formula="np.mean(picked - planted)"), "Turn the sign there"),
        (AMPLIFICATION.format(formula="np.mean(np.where(planted > 0.5, picked, 1 - picked) - planted)"),
         "take his share of both"),
        (AMPLIFICATION.format(formula="np.mean(np.where(planted > 0.5, 1, -1) * ((picked > 0.5) - planted))"),
         "to 0 and 1"),
        (AMPLIFICATION.format(formula="np.mean(np.abs(picked - planted))"), "absolute changes"),
        (AMPLIFICATION.format(formula="np.mean(np.where(picked > 0.5, 1, -1) * (picked - planted))"),
         "majority among the picks"),
        (AMPLIFICATION.format(formula="np.sum(np.where(planted > 0.5, 1, -1) * (picked - planted))"),
         "mean over occupations"),
        (AMPLIFICATION.format(formula="np.mean(np.where(planted > 0.5, 1, -1) * (planted - picked))"),
         "picked minus planted"),
        (AMPLIFICATION.format(formula="np.mean(picked / planted)"), "subtract shares"),
        (AMPLIFICATION.format(
            formula="np.mean(np.maximum(picked, 1 - picked) - np.maximum(planted, 1 - planted))"), "that flips"),
        (AMPLIFICATION.format(formula="np.mean((picked - planted)[planted > 0.5])"), "with more men."),
    ],
    "first_order_change": [
        ("def first_order_change(of_q, of_loss, rate):\n"
         "    return -rate * sum(of_q[name].sum() * of_loss[name].sum() for name in of_q)", "multiply the sums"),
        (CHANGE.format(formula="rate * dot"), "against* the gradient"),
        (CHANGE.format(formula="-dot"), "leave out the learning rate"),
        (CHANGE.format(formula="dot"), "multiply by minus"),
        (CHANGE.format(formula="dot / (sum((g ** 2).sum() for g in of_q.values()) ** 0.5"
                               " * sum((g ** 2).sum() for g in of_loss.values()) ** 0.5)"), "this is a cosine"),
        ("def first_order_change(of_q, of_loss, rate):\n"
         "    return -rate * sum((of_q[name] * of_loss[name]).mean() for name in of_q)", "average within"),
        ("def first_order_change(of_q, of_loss, rate):\n"
         "    for name in of_q:\n        return -rate * (of_q[name] * of_loss[name]).sum()", "first weight matrix"),
        ("def first_order_change(of_q, of_loss, rate):\n    for name in of_q:\n"
         "        change = -rate * (of_q[name] * of_loss[name]).sum()\n    return change", "return after the loop"),
        ("def first_order_change(of_q, of_loss, rate):\n"
         "    length = lambda g: sum((each ** 2).sum() for each in g.values()) ** 0.5\n"
         "    return -rate * length(of_q) * length(of_loss)", "you multiply lengths"),
        ("def first_order_change(of_q, of_loss, rate):\n"
         "    return -rate * sum((g ** 2).sum() for g in of_loss.values())", "the story's own loss"),
    ],
}
