"""Wrong answers to the exercises of notebook 12, each with a fragment of the message it must get."""

ATTEND = """def attend(q, k, v, open):
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    scores = scores.masked_fill(open[:, None, :] == 0, float("-inf"))
    return scores.softmax(-1) @ v"""

TEST = """def is_sound_removal(remove, model, batch):
    def output():
        with torch.no_grad():
            return model(**batch).last_hidden_state

    heads, untouched = {heads}, output()
    size = model.config.hidden_size // model.config.num_attention_heads
    kept = [layer.attention.output.dense.weight.detach().clone() for layer in model.encoder.layer]
    with torch.no_grad():
        for layer, head in heads:
            model.encoder.layer[layer].attention.output.dense.weight[:, head * size : (head + 1) * size] = 0
        expected = output()
        for layer, weight in zip(model.encoder.layer, kept):
            layer.attention.output.dense.weight.copy_(weight)
    with remove(model, heads):
        inside = output()
    return torch.allclose(inside, expected, atol=1e-5){after}"""
AFTER = " and torch.allclose(output(), untouched, atol=1e-5)"

CHANGES = """def is_sound_removal(remove, model, batch):
    with torch.no_grad():
        before = model(**batch).last_hidden_state
        with remove(model, [(1, 1)]):
            inside = model(**batch).last_hidden_state
        after = model(**batch).last_hidden_state
    return not torch.allclose(before, inside) and torch.allclose(before, after)"""

ROLLOUT = """def rollout(weight):
    eye = torch.eye(weight.shape[-1])
    product = eye
    for layer in weight:
        product = (0.5 * layer.mean(0) + 0.5 * eye) @ product
    return product"""

EVIDENCE = """def evidence_of_words(distribution, text):
    words = text.split()
    asked, full = words.index("[MASK]"), distribution(text)
    result = []
    for i, word in enumerate(words):
        if word == "[MASK]":
            result.append(0.0)
            continue
        hidden = [*words[:i], "[MASK]", *words[i + 1 :]]
        less = distribution(" ".join(hidden))[1 if i < asked else 0]
        result.append(sum(p * np.log(p / less[w]) for w, p in full.items() if p > 0))
    return result"""

WRONG = {
    "attend": [
        (ATTEND.replace(" / q.shape[-1] ** 0.5", ""), "are not scaled"),
        (ATTEND.replace(" ** 0.5", ""), "by the head size itself"),
        (ATTEND.replace("/ q.shape[-1] ** 0.5", "* q.shape[-1] ** 0.5"), "you multiply by"),
        (ATTEND.replace("softmax(-1)", "softmax(1)"), "over the tokens that read"),
        ('def attend(q, k, v, open):\n    weight = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)\n'
         '    return (weight * open[:, None, :]) @ v', "after the softmax"),
        ('def attend(q, k, v, open):\n    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v',
         "read like any other"),
        (ATTEND.replace(" @ v", " @ k"), "you average keys"),
        (ATTEND.replace("open[:, None, :] == 0", "open[:, None, :] == 1"), "not those where it is 1"),
        (ATTEND.replace("open[:, None, :] == 0", "(open[:, None, :] == 0) | (open[:, :, None] == 0)"),
         "the rows of padding are nan"),
        (ATTEND.replace('float("-inf")', "0.0"), "exp(0) = 1"),
        (ATTEND.replace(" @ v", ""), "these are the weights"),
        (ATTEND.replace("open[:, None, :]", "open"), "give it an axis"),
        (ATTEND.replace("q.shape[-1]", "q.shape[1]"), "root of the number of tokens"),
        (ATTEND.replace("softmax(-1)", "softmax(0)"), "texts of the batch"),
        (ATTEND.replace("    scores = scores.masked_fill(open[:, None, :] == 0, float(\"-inf\"))\n", "").replace(
            "    scores =", "    k, v = k * open[..., None], v * open[..., None]\n    scores ="), "vectors of padding"),
    ],
    "is_sound_removal": [
        ("def is_sound_removal(remove, model, batch):\n    with remove(model, [(0, 1)]):\n        return True",
         "a removal that does nothing"),
        (CHANGES, "every head of the layer"),
        (TEST.format(heads="[(0, 1)]", after=AFTER), "always works on layer 0"),
        (TEST.format(heads="[(1, 1)]", after=AFTER), "only the last of several"),
        (TEST.format(heads="[(0, 1), (1, 0), (1, 2)]", after=""), "still in place"),
        ("def is_sound_removal(remove, model, batch):\n    return False", "rejects a correct implementation"),
    ],
    "rollout": [
        (ROLLOUT.replace("(0.5 * layer.mean(0) + 0.5 * eye) @ product", "product @ (0.5 * layer.mean(0) + 0.5 * eye)"),
         "the wrong way"),
        (ROLLOUT.replace("0.5 * layer.mean(0) + 0.5 * eye", "layer.mean(0)"), "residual connection is missing"),
        (ROLLOUT.replace("0.5 * layer.mean(0) + 0.5 * eye", "layer.mean(0) + eye"), "sum to more than 1"),
        (ROLLOUT.replace("layer.mean(0)", "layer.amax(0)"), "strongest head"),
        (ROLLOUT.replace("layer.mean(0)", "layer.sum(0)"), "you add the heads up"),
        ("def rollout(weight):\n    eye = torch.eye(weight.shape[-1])\n"
         "    return (0.5 * weight.mean(1) + 0.5 * eye).mean(0)", "average over layers"),
        ("def rollout(weight):\n    eye = torch.eye(weight.shape[-1])\n"
         "    return (0.5 * weight.mean(1) + 0.5 * eye).prod(0)", "entry by entry"),
        ("def rollout(weight):\n    return 0.5 * weight[-1].mean(0) + 0.5 * torch.eye(weight.shape[-1])",
         "the last layer alone"),
        (ROLLOUT.replace("layer.mean(0)", "layer").replace("return product", "return product.mean(0)"),
         "average at the end"),
        (ROLLOUT.replace("layer.mean(0)", "layer"), "one matrix per head left"),
        (ROLLOUT.replace("in weight:", "in weight.transpose(0, 1):"), "`mean(0)`"),
        (ROLLOUT.replace("product = eye\n", "product = 0.5 * weight[0].mean(0) + 0.5 * eye\n"),
         "in your product twice"),
        (ROLLOUT.replace(") @ product", ") + product").replace("product = eye\n", "product = 0 * eye\n"),
         "you add the layers up"),
        (ROLLOUT.replace("0.5 * eye", "eye"), "rows do not sum to 1"),
        ("def rollout(weight):\n    product = eye = torch.eye(weight.shape[-1])\n    for layer in weight:\n"
         "        product = layer.mean(0) @ product\n    return 0.5 * product + 0.5 * eye", "once, at the end"),
    ],
    "evidence_of_words": [
        (EVIDENCE.replace("sum(p * np.log(p / less[w]) for w, p in full.items() if p > 0)",
                          "sum(p * np.log(p / full[w]) if full[w] > 0 else np.inf for w, p in less.items() if p > 0)"),
         "KL(without || with)"),
        (EVIDENCE.replace("np.log(", "np.log2("), "these are bits"),
        (EVIDENCE.replace("sum(p * np.log(p / less[w]) for w, p in full.items() if p > 0)",
                          "sum(abs(p - less[w]) for w, p in full.items())"), "absolute differences"),
        (EVIDENCE.replace("sum(p * np.log(p / less[w]) for w, p in full.items() if p > 0)",
                          "sum(p * np.log(less[w] / p) for w, p in full.items() if p > 0)"), "sign is wrong"),
        (EVIDENCE.replace("[1 if i < asked else 0]", "[0]"), "you divide by a probability of 0"),
        (EVIDENCE.replace('[*words[:i], "[MASK]", *words[i + 1 :]]', "[*words[:i], *words[i + 1 :]]").replace(
            "[1 if i < asked else 0]", ""), "keep the sentence"),
        (EVIDENCE.replace("[1 if i < asked else 0]", "[0]").replace(
            "p * np.log(p / less[w])", "p * np.log(p / less[w]) if less[w] > 0 else np.inf"), "values are infinite"),
        (EVIDENCE.replace("result = []", "result = {}").replace("result.append(0.0)", "result[word] = 0.0").replace(
            "result.append(sum(p * np.log(p / less[w]) for w, p in full.items() if p > 0))",
            "result[word] = sum(p * np.log(p / less[w]) for w, p in full.items() if p > 0)"), "keeps one of several"),
        (EVIDENCE.replace("            result.append(0.0)\n", ""), "one value per word"),
        (EVIDENCE.replace("[1 if i < asked else 0]", ""), "as if it were one dictionary"),
        (EVIDENCE.replace('word == "[MASK]"', "False"), "you hide [MASK] itself"),
        (EVIDENCE.replace('*words[:i], "[MASK]"', '*words[:i], "[UNK]"'), "does not know the word you put in"),
    ],
}
