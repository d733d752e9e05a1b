"""Wrong answers to the exercises of notebook 03, each with a fragment of the message it must get."""

PAIRS = """def build_pairs(documents, spoil, choice):
    pairs = []
    for own, document in enumerate(documents):
        others = [s for d, other in enumerate(documents) if {others} for s in other]
        for first, second in zip(document, document[1:]):
            k = len(pairs)
            stranger = others[int(choice[k] * len(others))]
            pairs.append({triple})
    return pairs"""


def _pairs(others: str = "d != own", triple: str = "(first, stranger if spoil[k] else second, int(spoil[k]))") -> str:
    return PAIRS.format(others=others, triple=triple)


WRONG = {
    "build_pairs": [
        (_pairs(triple="(first, stranger if spoil[k] else second, int(not spoil[k]))"), "wrong way round"),
        (_pairs(others="True"), "leave the pair's own document out"),
        (_pairs(triple="(stranger if spoil[k] else first, second, int(spoil[k]))"), "the second is exchanged"),
        (_pairs(triple="(first, stranger if spoil[k] else second, 0)"), "every label is 0"),
        (_pairs(triple="(first, stranger if spoil[k] else second)"), "triples"),
        (_pairs().replace("zip(document, document[1:]):\n            k = len(pairs)",
                          "zip(document, document[1:]):\n            k = document.index(first)"), "begins again"),
        (_pairs().replace("int(choice[k] * len(others))]",
                          "round(choice[k] * len(others)) % len(others)]"), "cuts off"),
        ("def build_pairs(documents, spoil, choice):\n"
         "    sentences = [s for document in documents for s in document]\n"
         "    return [(a, b, 0) for a, b in zip(sentences, sentences[1:])]", "no neighbour there"),
    ],
    "pair_loss": [
        ("def pair_loss(logits, labels):\n    kept = labels != -100\n"
         "    return F.cross_entropy(logits[kept], 1 - labels[kept])", "other column"),
        ("def pair_loss(logits, labels):\n    kept = labels != -100\n"
         "    return -logits[kept].gather(1, labels[kept][:, None]).mean()", "minus the logit"),
        ("def pair_loss(logits, labels):\n    kept = labels != -100\n"
         "    return (1 - logits[kept].softmax(-1).gather(1, labels[kept][:, None])).mean()",
         "one minus the probability"),
        ("def pair_loss(logits, labels):\n"
         "    return F.cross_entropy(logits, labels, reduction='none').mean()", "divide by all texts"),
        ("def pair_loss(logits, labels):\n    return F.cross_entropy(logits, labels.clamp(min=0))",
         "counted as IsNext"),
        ("def pair_loss(logits, labels):\n    kept = labels != -100\n"
         "    return -F.cross_entropy(logits[kept], labels[kept])", "sign is wrong"),
        ("def pair_loss(logits, labels):\n    kept = labels != -100\n"
         "    return -logits[kept].log_softmax(0).gather(1, labels[kept][:, None]).mean()", "down the batch"),
        ("def pair_loss(logits, labels):\n    return F.cross_entropy(logits, labels, reduction='sum')",
         "this is the sum"),
    ],
    "posterior": [
        ("def posterior(log_next, log_other):\n    with np.errstate(all='ignore'):\n"
         "        return np.exp(log_next) / (np.exp(log_next) + np.exp(log_other))", "use the difference"),
        ("def posterior(log_next, log_other):\n    return 1 / (1 + np.exp(log_next - log_other))", "P(NotNext | pair)"),
        ("def posterior(log_next, log_other):\n    return np.exp(log_next - log_other)", "these are the odds"),
        ("def posterior(log_next, log_other):\n    return log_next - log_other", "these are the log-odds"),
        ("def posterior(log_next, log_other):\n    return log_next / (log_next + log_other)", "divide logarithms"),
        ("def posterior(log_next, log_other):\n    return np.exp(log_next)", "the likelihood"),
    ],
    "area_under_curve": [
        ("def area_under_curve(positive, negative):\n"
         "    return (np.asarray(positive)[:, None] > np.asarray(negative)).mean()", "ties count as lost"),
        ("def area_under_curve(positive, negative):\n"
         "    return (np.asarray(positive)[:, None] >= np.asarray(negative)).mean()", "ties count as won"),
        ("def area_under_curve(positive, negative):\n    d = np.asarray(positive)[:, None] - np.asarray(negative)\n"
         "    return (d < 0).mean() + (d == 0).mean() / 2", "sides are exchanged"),
        ("def area_under_curve(positive, negative):\n    n = min(len(positive), len(negative))\n"
         "    d = np.asarray(positive)[:n] - np.asarray(negative)[:n]\n"
         "    return (d > 0).mean() + (d == 0).mean() / 2", "side by side"),
        ("def area_under_curve(positive, negative):\n    return np.mean(positive) - np.mean(negative)",
         "difference of the means"),
        ("def area_under_curve(positive, negative):\n    d = np.asarray(positive)[:, None] - np.asarray(negative)\n"
         "    return (d > 0).sum() + (d == 0).sum() / 2", "number of comparisons won"),
    ],
}
