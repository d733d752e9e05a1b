"""Wrong answers to the exercises of notebook 10, each with a fragment of the message it must get."""

SWAP = """def swapped(sentence, partners):
    words = sentence.split()
    return {result}"""

DIRECTION = """def bias_direction(women, men):
    return {result}"""

HELD = """def held_back(p, p_told, decay):
    delta = p - p_told
    factor = {factor}
    return {result}"""
FACTOR, SCALED = "np.maximum(np.exp(decay * np.minimum(delta, 0)), 0.01)", "factor * p / (factor * p).sum()"

LEFT = """def left_out_accuracy(states, labels, groups, fit):
    right = []
    for group in {loop}:
        own = {own}
        right.append({score})
    return {result}"""
TEST = "fit(states[~own], labels[~own])(states[own]) == labels[own]"

WRONG = {
    "swapped": [
        ("def swapped(sentence, partners):\n    text = f' {sentence} '\n    for word, other in partners.items():\n"
         "        text = text.replace(f' {word} ', f' {other} ')\n    return text.strip()", "one pair after the other"),
        (SWAP.format(result="' '.join(partners.get(w, w) for w in words)"), "you leave 'her' as it is"),
        (SWAP.format(result="' '.join('his' if w == 'her' else partners.get(w, w) for w in words)"),
         "every 'her' into 'his'"),
        (SWAP.format(result="' '.join('him' if w == 'her' else partners.get(w, w) for w in words)"),
         "every 'her' into 'him'"),
        (SWAP.format(result="[partners.get(w, w) for w in words]"), "list of words"),
        (SWAP.format(result="' '.join(('his' if n in ('.', 'a') else 'him') if w == 'her' else partners.get(w, w)"
                            " for w, n in zip(words, words[1:] + ['.']))"), "wrong way round"),
        (SWAP.format(result="' '.join(('him' if n in ('.', 'a') else 'his') if w == 'her' else"
                            " {'she': 'he', 'he': 'she', 'his': 'her', 'him': 'her'}.get(w, w)"
                            " for w, n in zip(words, words[1:] + ['.']))"), "names stay"),
        (SWAP.format(result="' '.join(('him' if n == '.' else 'his') if w == 'her' else partners.get(w, w)"
                            " for w, n in zip(words, words[1:] + ['.']))"), "not before 'a'"),
        (SWAP.format(result="' '.join(('him' if n[0] in '.a' else 'his') if w == 'her' else partners.get(w, w)"
                            " for w, n in zip(words, words[1:] + ['.']))"), "begins with 'a'"),
        (SWAP.format(result="' '.join(('him' if n in ('.', 'a') else 'his') if w == 'her' else"
                            " {'she': 'he', 'he': 'she', 'his': 'her', 'him': 'her', 'mary': 'john', 'john': 'mary',"
                            " 'aisha': 'omar', 'omar': 'aisha'}.get(w, w) for w, n in zip(words, words[1:] + ['.']))"),
         "other names were given"),
        ("def swapped(sentence, partners):\n    return sentence", "nothing was exchanged"),
    ],
    "bias_direction": [
        (DIRECTION.format(result="(women - men).mean(0) / np.linalg.norm((women - men).mean(0))"),
         "mean of the differences"),
        (DIRECTION.format(result="np.linalg.svd(women - men - (women - men).mean(0))[2][0]"),
         "subtract the mean difference"),
        (DIRECTION.format(result="np.linalg.svd(np.vstack([women, men]) - np.vstack([women, men]).mean(0))[2][0]"),
         "sentences differ from each other"),
        (DIRECTION.format(result="np.linalg.svd(women - men)[2][:1]"), "shape (1, 6)"),
        (DIRECTION.format(result="np.linalg.svd(women - men, full_matrices=False)[2][-1]"), "last component"),
        (DIRECTION.format(result="np.linalg.svd(women - men, full_matrices=False)[2][:, 0]"), "column of the matrix"),
        (DIRECTION.format(result="5 * np.linalg.svd(women - men)[2][0]"), "not length 1"),
        (DIRECTION.format(result="np.linalg.svd(women - men)[2]"), "one number for each"),
    ],
    "held_back": [
        (HELD.format(factor=FACTOR, result="factor * p"), "does not sum to 1"),
        (HELD.format(factor=FACTOR, result="factor"), "these are the factors"),
        (HELD.format(factor="np.exp(decay * np.minimum(delta, 0))", result=SCALED), "smaller than 0.01"),
        (HELD.format(factor="np.maximum(np.exp(-decay * np.maximum(delta, 0)), 0.01)", result=SCALED),
         "makes less likely"),
        (HELD.format(factor="np.maximum(np.exp(decay * delta), 0.01)", result=SCALED), "raise the words"),
        (HELD.format(factor=FACTOR, result="factor * p_told / (factor * p_told).sum()"),
         "distribution after the prompt"),
        (HELD.format(factor="1", result="p_told"), "p_told as it is"),
    ],
    "left_out_accuracy": [
        (LEFT.format(loop="np.unique(groups)", own="groups == group", score=f"np.mean({TEST})",
                     result="np.mean(right)"),
         "average the accuracies of the groups"),
        ("def left_out_accuracy(states, labels, groups, fit):\n"
         "    return np.mean(fit(states, labels)(states) == labels)", "near-copies of the rows you test"),
        ("def left_out_accuracy(states, labels, groups, fit):\n    rows = np.arange(len(labels))\n"
         "    return np.mean([fit(states[rows != i], labels[rows != i])(states[[i]])[0] == labels[i] for i in rows])",
         "leave out single rows"),
        (LEFT.format(loop="np.unique(groups)", own="groups == group",
                     score="np.mean(fit(states[~own], labels)(states[own]) == labels[own])", result="np.mean(right)"),
         "same rows of both"),
        (LEFT.format(loop="np.unique(groups)[-1:]", own="groups == group", score=f"np.mean({TEST})", result="right[0]"),
         "last group only"),
        (LEFT.format(loop="np.unique(labels)", own="labels == group", score=f"np.mean({TEST})",
                     result="np.mean(right)"), "rows of one label"),
        (LEFT.format(loop="np.unique(groups)", own="groups == group", score=f"np.sum({TEST})", result="np.sum(right)"),
         "number of right answers"),
    ],
}
