"""Wrong answers to the exercises of notebook 13, each with a fragment of the message it must get."""

PATH = """def integrated_gradients(gradient, x, baseline, steps):
    alpha = (np.arange(steps)[:, None] + 0.5) / steps
    slopes = gradient({points})
    return {result}"""
RIGHT_POINTS, RIGHT_RESULT = "baseline + alpha * (x - baseline)", "(x - baseline) * slopes.mean(0)"

ORDERS = """def shapley(worth, players):
    total = dict.fromkeys(players, 0.0)
    orders = list(permutations(players))
    for order in orders:
        for i, player in enumerate(order):
            before, after = frozenset(order[:i]), frozenset(order[: i + 1])
            total[player] += {gain}
    return {result}"""

ERASE = """def erase(worth, scores, share):
    count = {count}
    named = np.zeros(len(scores), dtype=bool)
    named[{order}[:count]] = True
    whole, without, alone = worth(np.stack([np.ones_like(named), ~named, named]))
    return {result}"""
COUNT, ORDER, PAIR = "int(np.ceil(share * len(scores)))", "np.argsort(-scores)", "whole - without, whole - alone"

TEST = """def depends_on_the_answer(method, model, reading):
    first, again = method(model, reading), method(model, reading)
    other = {copied}
    with torch.no_grad():
        for weight in {part}.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(1))
    second = method(other, reading)
    return {verdict}"""
SAME = "np.allclose(first, again) and "
ORDERED = "bool((np.argsort(first) != np.argsort(second)).any())"

WRONG = {
    "integrated_gradients": [
        (PATH.format(points="x[None]", result=RIGHT_RESULT), "slope at the text alone"),
        (PATH.format(points="baseline[None]", result=RIGHT_RESULT), "slope at the baseline alone"),
        (PATH.format(points=RIGHT_POINTS, result="(x - baseline) * slopes.sum(0)"), "add the slopes up"),
        (PATH.format(points=RIGHT_POINTS, result="slopes.mean(0)"), "multiply it by x - baseline"),
        (PATH.format(points=RIGHT_POINTS, result="(baseline - x) * slopes.mean(0)"), "sign is wrong"),
        (PATH.format(points="alpha * x", result=RIGHT_RESULT), "begins at 0"),
        (PATH.format(points=RIGHT_POINTS, result="x * slopes.mean(0)"), "you multiply by x"),
        (PATH.format(points="alpha * (x - baseline)", result=RIGHT_RESULT), "add the baseline"),
        (PATH.format(points=RIGHT_POINTS, result="((x - baseline) * slopes.mean(0)).sum()"), "one number per feature"),
        (PATH.format(points="np.stack([baseline, x])", result=RIGHT_RESULT), "the two ends"),
        (PATH.format(points=RIGHT_POINTS, result="(x - baseline) * slopes.mean()"), "average over the features"),
    ],
    "shapley": [
        ("def shapley(worth, players):\n    every = frozenset(players)\n"
         "    return {p: worth(every) - worth(every - {p}) for p in players}", "leave-one-out"),
        ("def shapley(worth, players):\n"
         "    return {p: worth(frozenset({p})) - worth(frozenset()) for p in players}", "worth alone"),
        (ORDERS.format(gain="worth(after) - worth(before)", result="total"), "divide by their number"),
        (ORDERS.format(gain="worth(after)", result="{p: t / len(orders) for p, t in total.items()}"), "subtract what"),
        ("def shapley(worth, players):\n    groups = [frozenset(players[:i]) for i in range(len(players) + 1)]\n"
         "    return [worth(b) - worth(a) for a, b in zip(groups, groups[1:])]", "single order"),
        ("def shapley(worth, players):\n    out = []\n    for p in players:\n"
         "        others = [q for q in players if q != p]\n"
         "        sets = [frozenset(q for k, q in enumerate(others) if n >> k & 1) for n in range(2 ** len(others))]\n"
         "        out.append(np.mean([worth(s | {p}) - worth(s) for s in sets]))\n    return out", "Banzhaf"),
        (ORDERS.format(gain="worth(after) - worth(before)",
                       result="{p: t / len(orders) / (worth(frozenset(players)) - worth(frozenset())) "
                       "for p, t in total.items()}"), "scaled to sum to 1"),
        (ORDERS.format(gain="worth(after) - worth(before)", result="{p: t / len(players) for p, t in total.items()}"),
         "divide by the number of players"),
        ("def shapley(worth, players):\n    total, group = dict.fromkeys(players, 0.0), frozenset()\n"
         "    orders = list(permutations(players))\n    for order in orders:\n        for p in order:\n"
         "            total[p] += worth(group | {p}) - worth(group)\n            group = group | {p}\n"
         "    return {p: t / len(orders) for p, t in total.items()}", "empty again"),
        (ORDERS.format(gain="worth(after) - worth(before)",
                       result="{k: t / len(orders) for k, t in enumerate(total.values())}"), "should be the players"),
    ],
    "erase": [
        (ERASE.format(count=COUNT, order=ORDER, result="whole - alone, whole - without"), "swapped"),
        (ERASE.format(count=COUNT, order=ORDER, result="without - whole, alone - whole"), "signs are wrong"),
        (ERASE.format(count=COUNT, order=ORDER, result="without, alone"), "that is left"),
        (ERASE.format(count="int(share * len(scores))", order=ORDER, result=PAIR), "too few words"),
        (ERASE.format(count=COUNT, order="np.argsort(-np.abs(scores))", result=PAIR), "absolute value"),
        (ERASE.format(count=COUNT, order="np.argsort(scores)", result=PAIR), "lowest scores"),
        (ERASE.format(count=COUNT, order=ORDER, result="(whole - without) / whole, (whole - alone) / whole"),
         "divide by m"),
        (ERASE.format(count=COUNT, order=ORDER, result="whole - without, alone"), "your sufficiency is m(r)"),
        (ERASE.format(count=COUNT, order=ORDER, result="without, whole - alone"), "your comprehensiveness is"),
        (ERASE.format(count=COUNT, order=ORDER, result="whole - without"), "two numbers"),
    ],
    "depends_on_the_answer": [
        (TEST.format(copied="model", part="other.classifier", verdict=SAME + ORDERED), "leaves the model changed"),
        (TEST.format(copied="copy.deepcopy(model)", part="other", verdict=SAME + ORDERED), "passes attention"),
        (TEST.format(copied="copy.deepcopy(model)", part="other.classifier",
                     verdict=SAME + "not np.allclose(first, second)"), "another factor"),
        (TEST.format(copied="copy.deepcopy(model)", part="other.classifier", verdict=ORDERED), "pure noise"),
        (TEST.format(copied="copy.deepcopy(model)", part="other.classifier", verdict=SAME + "not " + ORDERED),
         "rejects a correct implementation (integrated gradients)"),
        (TEST.format(copied="copy.deepcopy(model)", part="other.classifier",
                     verdict=SAME + "bool(np.argmax(first) != np.argmax(second))"), "same word first"),
    ],
}
