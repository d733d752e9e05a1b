"""Wrong answers to the exercises of notebook 08, each with a fragment of the message it must get."""

BIAS = """def corrected_bias(p_shown, p_hidden, first, second):
    a, b = sum(p_shown[w] for w in first), sum(p_shown[w] for w in second)
    pa, pb = sum(p_hidden[w] for w in first), sum(p_hidden[w] for w in second)
    return {formula}"""

SHARED = """def shared_score(sentence, partner, log_p):
    matcher = difflib.SequenceMatcher(None, sentence, partner)
    places = [i for kind, a, b, _, _ in matcher.get_opcodes() if kind {kind} "equal" for i in range(a, b)]
    return {summary}"""

BLOCKS = """def shared_score(sentence, partner, log_p):
    blocks = difflib.SequenceMatcher(None, sentence, partner).get_matching_blocks()
    return sum(log_p(i) for i in {places})"""

EXACT = """def exact_p(x, y):
    pool, n = np.concatenate([x, y]), len(x)
    chosen = itertools.{choice}
    statistics = np.array([2 * pool[list(c)].sum() - pool.sum() for c in chosen])
    seen = x.sum() - y.sum()
    return {result}"""
COMBINATIONS = "combinations(range(2 * n), n)"

SS = """def stereotype_score(target, stereotype, opposite):
    won = {won}
    return {result}"""
MACRO = "100 * np.mean([won[target == t].mean() for t in np.unique(target)])"


WRONG = {
    "corrected_bias": [
        (BIAS.format(formula="np.log(a / b)"), "left out the prior"),
        (BIAS.format(formula="np.log(pa / pb)"), "prior alone"),
        (BIAS.format(formula="np.log(pa / pb) - np.log(a / b)"), "sign is wrong"),
        (BIAS.format(formula="np.log(a / b) + np.log(pa / pb)"), "you add the prior"),
        (BIAS.format(formula="(a / b) / (pa / pb)"), "ratio of ratios"),
        (BIAS.format(formula="(a - b) - (pa - pb)"), "differences of probabilities"),
        (BIAS.format(formula="np.log2(a / b) - np.log2(pa / pb)"), "bits"),
        ("def corrected_bias(p_shown, p_hidden, first, second):\n"
         "    f = lambda p, words: np.mean([np.log(p[w]) for w in words])\n"
         "    return f(p_shown, first) - f(p_shown, second) - f(p_hidden, first) + f(p_hidden, second)",
         "average logarithms"),
        (BIAS.format(formula="np.log(a / pa)"), "first group only"),
        (BIAS.format(formula="np.log(b / pb)"), "second group only"),
        (BIAS.format(formula="np.log(a / pa) + np.log(b / pb)"), "add the two associations"),
        ("def corrected_bias(p_shown, p_hidden, first, second):\n"
         "    f = lambda words: sum(np.log(p_shown[w] / p_hidden[w]) for w in words)\n"
         "    return f(first) - f(second)", "one association per word"),
        ("def corrected_bias(p_shown, p_hidden, first, second):\n"
         "    f = lambda word: np.log(p_shown[word] / p_hidden[word])\n"
         "    return f(first[0]) - f(second[0])", "only the first word"),
        (BIAS.format(formula="(np.log(a / (1 - a)) - np.log(b / (1 - b))"
                             " - np.log(pa / (1 - pa)) + np.log(pb / (1 - pb)))"), "log-odds of each group"),
        (BIAS.format(formula="np.log(a / (1 - a)) - np.log(pa / (1 - pa))"), "against all other words"),
    ],
    "shared_score": [
        ("def shared_score(sentence, partner, log_p):\n    return sum(log_p(i) for i in range(len(sentence)))",
         "score every token"),
        (SHARED.format(kind="!=", summary="sum(log_p(i) for i in places)"), "scores the shared"),
        (SHARED.format(kind="==", summary="sum(log_p(i) for i in places) / len(places)"), "this is the mean;"),
        ("def shared_score(sentence, partner, log_p):\n"
         "    return sum(log_p(i) for i, (a, b) in enumerate(zip(sentence, partner)) if a == b)",
         "position by position"),
        ("def shared_score(sentence, partner, log_p):\n"
         "    return sum(log_p(i) for i, word in enumerate(sentence) if word in partner)", "anywhere in the partner"),
        (SHARED.format(kind="==", summary="-sum(log_p(i) for i in places)"), "sign is wrong"),
        ("def shared_score(sentence, partner, log_p):\n"
         "    blocks = difflib.SequenceMatcher(None, sentence, partner).get_matching_blocks()\n"
         "    places = [i for block in blocks for i in range(block.b, block.b + block.size)]\n"
         "    return sum(log_p(i) for i in places if i < len(sentence))", "places of the partner"),
        ("def shared_score(sentence, partner, log_p):\n"
         "    i = next(i for i, (a, b) in enumerate(zip(sentence, partner)) if a != b)\n"
         "    j = next(j for j, (a, b) in enumerate(zip(sentence[::-1], partner[::-1])) if a != b)\n"
         "    return sum(log_p(k) for k in range(len(sentence)) if k < i or k >= len(sentence) - j)",
         "between the first and the last difference"),
        (SHARED.format(kind="==", summary="sum(log_p(i) for i in places) / len(sentence)"),
         "length of the whole sentence"),
        (BLOCKS.format(places="[i for b in blocks[:1] for i in range(b.a, b.a + b.size)]"), "only the first stretch"),
        (BLOCKS.format(places="[i for b in [max(blocks, key=lambda b: b.size)] for i in range(b.a, b.a + b.size)]"),
         "only the longest stretch"),
        (BLOCKS.format(places="[i for b in blocks for i in range(b.a, b.size)]"), "end too early"),
        (SHARED.format(kind="==", summary="np.exp(sum(log_p(i) for i in places))"), "you take the exponential"),
        (BLOCKS.format(places="[sentence[i] for b in blocks for i in range(b.a, b.a + b.size)]"), "the token 'the'"),
        (BLOCKS.format(places="[[i] for b in blocks for i in range(b.a, b.a + b.size)]"), "one place in `sentence`"),
        (BLOCKS.format(places="range(len(sentence) + 1)"), "not those of the partner"),
    ],
    "exact_p": [
        (EXACT.format(choice=COMBINATIONS, result="np.mean(statistics > seen + 1e-9)"), "never 0"),
        (EXACT.format(choice=COMBINATIONS, result="np.mean(statistics <= seen + 1e-9)"), "the other side"),
        (EXACT.format(choice=COMBINATIONS, result="np.mean(np.abs(statistics) >= abs(seen) - 1e-9)"), "two-sided"),
        (EXACT.format(choice=COMBINATIONS, result="np.sum(statistics >= seen - 1e-9)"), "number of partitions"),
        (EXACT.format(choice=COMBINATIONS, result="np.mean(statistics >= seen)"), "lost by rounding"),
        (EXACT.format(choice=COMBINATIONS, result="np.mean((statistics + pool.sum()) / 2 >= seen - 1e-9)"),
         "sum of the first half against"),
        ("def exact_p(x, y):\n    pool = np.concatenate([x, y])\n"
         "    halves = [2 * sum(c) - pool.sum() for c in itertools.combinations(sorted(set(pool.tolist())), len(x))]\n"
         "    return np.mean(np.array(halves) >= x.sum() - y.sum() - 1e-9)", "equal values are dropped"),
        (EXACT.format(choice=COMBINATIONS,
                      result="(np.sum(statistics >= seen - 1e-9) + 1) / (len(statistics) + 1)"), "'+ 1' belongs"),
        (EXACT.format(choice="product(range(2 * n), repeat=n)", result="np.mean(statistics >= seen - 1e-9)"),
         "without replacement"),
        ("def exact_p(x, y):\n    pool, n, seen = np.concatenate([x, y]), len(x), x.sum() - y.sum()\n"
         "    draws = [np.random.permutation(pool) for _ in range(999)]\n"
         "    return np.mean([d[:n].sum() - d[n:].sum() >= seen - 1e-9 for d in draws])", "changes from call to call"),
    ],
    "stereotype_score": [
        (SS.format(won="stereotype > opposite", result="100 * won.mean()"), "average over all clusters"),
        (SS.format(won="stereotype >= opposite", result=MACRO), "a tie counts as a stereotype"),
        (SS.format(won="(stereotype > opposite) + (stereotype == opposite) / 2", result=MACRO), "half a point"),
        (SS.format(won="stereotype > opposite", result=MACRO.replace("100 * ", "")), "this is a share"),
        (SS.format(won="opposite > stereotype", result=MACRO), "count the anti-stereotype"),
        (SS.format(won="stereotype > opposite", result="100 - " + MACRO), "100 minus SS"),
        (SS.format(won="(stereotype > opposite)[stereotype != opposite]",
                   result=MACRO.replace("target", "target[stereotype != opposite]")), "leave tied clusters out"),
        ("def stereotype_score(target, stereotype, opposite):\n    terms = np.unique(target)\n"
         "    return 100 * np.mean([stereotype[target == t].mean() > opposite[target == t].mean() for t in terms])",
         "compare mean scores"),
        (SS.format(won="stereotype > opposite", result=MACRO.replace("np.mean", "np.median")), "median over terms"),
    ],
}
