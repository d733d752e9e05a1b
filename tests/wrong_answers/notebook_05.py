"""Wrong answers to the exercises of notebook 05, each with a fragment of the message it must get."""

CLASSIFY = "def classify(hidden, W_p, b_p, W, b):\n    "
STOP = """def early_stop(scores, patience):
    best = 0
    for look, score in enumerate(scores):
        if score {better} scores[best]:
            best = look
        if look - best >= patience{late}:
            break
    return {kept}, {end}"""


def _stop(better: str = ">", late: str = "", kept: str = "best", end: str = "look") -> str:
    return STOP.format(better=better, late=late, kept=kept, end=end)


# A counter instead of a difference of looks: `start` is what the first score has to beat, `best` what a score has to
# beat, `reset` what a better score does to the counter.
COUNT = """def early_stop(scores, patience):
    top, kept, waited = {start}, 0, 0
    for look, score in enumerate(scores):
        better = score > {best}
        if score > top:
            top, kept = score, look
        waited = {reset} if better else waited + 1
        if waited >= patience:
            break
    return kept, look"""


def _count(start: str = "-np.inf", best: str = "max([-np.inf, *scores[:look]])", reset: str = "0") -> str:
    return COUNT.format(start=start, best=best, reset=reset)


LORA = "def lora_output(x, W, A, B, alpha):\n    "
SPLIT = "def split_by_group(groups, held_out, rng):\n    "

WRONG = {
    "classify": [
        (CLASSIFY + "return torch.tanh(hidden @ W_p.T + b_p) @ W.T + b", "classify every token"),
        (CLASSIFY + "return torch.tanh(hidden.mean(1) @ W_p.T + b_p) @ W.T + b", "average over the tokens"),
        (CLASSIFY + "return torch.tanh(hidden[:, -1] @ W_p.T + b_p) @ W.T + b", "read the last token"),
        (CLASSIFY + "return hidden[:, 0] @ W.T + b", "the pooler is missing"),
        (CLASSIFY + "return (hidden[:, 0] @ W_p.T + b_p) @ W.T + b", "tanh of the pooler is missing"),
        (CLASSIFY + "return torch.tanh(hidden[:, 0] @ W_p + b_p) @ W.T + b", "W_p is transposed"),
        (CLASSIFY + "return (torch.tanh(hidden[:, 0] @ W_p.T + b_p) @ W.T + b).softmax(-1)", "these are probabilities"),
    ],
    "early_stop": [
        (_stop(kept="int(np.argmax(scores))"), "never happen"),
        (_stop(kept="look"), "weights of the last look"),
        (_stop(late=" + 1"), "one look too late"),
        (_stop(better=">="), "equal score as better"),
        (_stop(end="len(scores) - 1"), "you never stop early"),
        (_stop(kept="best + 1", end="look + 1"), "counted from 0"),
        (_stop(better="<"), "lower score for a better one"),
        (_count(reset="waited"), "sets the count back to 0"),
        (_count(start="0", best="max([0, *scores[:look]])"), "begin with the first score itself"),
        (_count(best="scores[look - 1] or look == 0"), "the one before it"),
        (_stop(kept="best", end="look").replace("return best, look", "return best"), "return two numbers"),
    ],
    "lora_output": [
        (LORA + "return x @ W.T + x @ (B @ A).T", "is not scaled"),
        (LORA + "return x @ W.T + alpha * x @ (B @ A).T", "divide by the rank too"),
        (LORA + "return x @ W.T + alpha / A.shape[1] * x @ (B @ A).T", "width of the layer"),
        (LORA + "return alpha / A.shape[0] * x @ (B @ A).T", "frozen matrix W is missing"),
        (LORA + "return x @ W + alpha / A.shape[0] * x @ (B @ A).T", "W is transposed"),
        (LORA + "return x @ W.T + alpha / A.shape[0] * x @ (B @ A)", "the update is transposed"),
        (LORA + "return alpha / A.shape[0] * (x @ W.T + x @ (B @ A).T)", "only the update is scaled"),
    ],
    "split_by_group": [
        (SPLIT + "return rng.permutation(len(groups)) < held_out", "rows on both sides"),
        (SPLIT + "names = np.unique(groups)\n    return ~np.isin(groups, rng.permutation(names)[:held_out])",
         "sides are exchanged"),
        (SPLIT + "return np.isin(groups, np.unique(groups)[:held_out])", "whatever the generator"),
        (SPLIT + "return np.isin(groups, rng.choice(np.unique(groups), held_out))", "add replace=False"),
        (SPLIT + "return np.isin(groups, rng.choice(groups, held_out, replace=False))", "draw among the rows"),
        (SPLIT + "return np.isin(groups, rng.permutation(groups)[:held_out])", "shuffle the rows"),
        (SPLIT + "return np.isin(groups, list(dict.fromkeys(rng.permutation(groups)))[:held_out])", "a large group"),
        (SPLIT + "return np.isin(groups, rng.permutation(groups)[: 3 * held_out])", "8 groups are held out instead"),
        (SPLIT + "return np.isin(groups, rng.permutation(np.unique(groups))[: held_out + 1])", "7 groups are held out"),
        (SPLIT + "return np.isin(groups, np.random.permutation(np.unique(groups))[:held_out])",
         "neither numpy's global numbers"),
        (SPLIT + "return np.isin(groups, rng.choice(np.unique(groups)[: held_out + 1], held_out, replace=False))",
         "the same chance"),
        (SPLIT + "return np.flatnonzero(np.isin(groups, rng.permutation(np.unique(groups))[:held_out]))",
         "True or False for each"),
    ],
}
