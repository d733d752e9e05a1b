"""Wrong answers to the exercises of notebook 14, each with a fragment of the message it must get."""

HOOK = """def patch_hook(position, donor):
    def hook(module, inputs, output):
        {body}
    return hook"""

WRONG = {
    "ceiling": [
        ("def ceiling(posterior):\n    return posterior.mean(0).max()", "average the posteriors first"),
        ("def ceiling(posterior):\n    return (posterior ** 2).sum(1).mean()", "draws an answer"),
        ("def ceiling(posterior):\n    return posterior.max(0).mean()", "runs down the texts"),
        ("def ceiling(posterior):\n    return posterior.max(1)", "return their mean"),
        ("def ceiling(posterior):\n    return posterior.max(1).sum()", "expected number"),
        ("def ceiling(posterior):\n    return posterior.min(1).mean()", "smallest entry"),
        ("def ceiling(posterior):\n    return posterior.argmax(1).mean()", "number of the likeliest state"),
    ],
    "control_labels": [
        ("def control_labels(words, labels, seed):\n"
         "    return np.random.default_rng(seed).permutation(labels)", "two different labels"),
        ("def control_labels(words, labels, seed):\n    types, values = sorted(set(words)), np.unique(labels)\n"
         "    drawn = dict(zip(types, np.random.default_rng(seed).choice(values, len(types))))\n"
         "    return np.array([drawn[w] for w in words])", "equally likely"),
        ("def control_labels(words, labels, seed):\n    types = sorted(set(words))\n"
         "    drawn = dict(zip(types, np.random.choice(labels, len(types))))\n"
         "    return np.array([drawn[w] for w in words])", "two calls with the same seed"),
        ("def control_labels(words, labels, seed):\n    out = {}\n    for w in set(words):\n"
         "        own = [l for v, l in zip(words, labels) if v == w]\n"
         "        out[w] = max(sorted(set(own)), key=own.count)\n"
         "    return np.array([out[w] for w in words])", "its commonest true label"),
        ("def control_labels(words, labels, seed):\n    out = {}\n    for w, l in zip(words, labels):\n"
         "        out.setdefault(w, l)\n    return np.array([out[w] for w in words])", "its first occurrence"),
        ("def control_labels(words, labels, seed):\n    r, array = np.random.default_rng(seed), np.array(words)\n"
         "    drawn = {t: r.choice(labels[array == t]) for t in sorted(set(words))}\n"
         "    return np.array([drawn[w] for w in words])", "the word's own occurrences"),
        ("def control_labels(words, labels, seed):\n    types = sorted(set(words))\n"
         "    drawn = dict(zip(types, np.random.default_rng(0).choice(labels, len(types))))\n"
         "    return np.array([drawn[w] for w in words])", "every seed gives the same labels"),
        ("def control_labels(words, labels, seed):\n    types = sorted(set(words))\n"
         "    drawn = dict(zip(types, np.random.default_rng(0).choice(labels, len(types))))\n"
         "    return np.array([drawn[f'w{int(w[1:])}'] for w in sorted(set(words))])", "one label for each"),
        ("def control_labels(words, labels, seed):\n    types = sorted(set(words))\n"
         "    drawn = dict(zip(types, np.random.default_rng(seed).integers(0, 3, len(types))))\n"
         "    return np.array([drawn[w] for w in words])", "not among those"),
    ],
    "patch_hook": [
        (HOOK.format(body="changed = output.clone()\n        changed[:, position] = donor"), "keeps the layer's own"),
        (HOOK.format(body="output[:, position] = donor\n        return output"), "layer's own tensor"),
        (HOOK.format(body="return donor[:, None].expand_as(output)"), "every position"),
        (HOOK.format(body="return donor"), "donor alone"),
        (HOOK.format(body="changed = output.clone()\n        changed[:, position] += donor\n        return changed"),
         "add the donor"),
        (HOOK.format(body="return output.clone()"), "output is unchanged"),
        (HOOK.format(body="changed = output.clone()\n        changed[position] = donor\n        return changed"),
         "text number"),
        (HOOK.format(body="changed = output.clone()\n        changed[:, :position + 1] = donor[:, None]\n"
                     "        return changed"), "another position has changed too"),
        (HOOK.format(body="changed = inputs[0].clone()\n        changed[:, position] = donor\n        return changed"),
         "the layer's input with the donor"),
        ("def patch_hook(position, donor):\n    return donor", "return a function"),
    ],
    "remove": [
        ("def remove(states, directions):\n    return states - (states @ directions.T) @ directions",
         "not of length 1"),
        ("def remove(states, directions):\n    q, _ = torch.linalg.qr(directions.T)\n    return (states @ q) @ q.T",
         "keep the part inside"),
        ("def remove(states, directions):\n    for d in directions:\n        d = d / d.norm()\n"
         "        states = states - (states @ d)[:, None] * d\n    return states", "one after another"),
        ("def remove(states, directions):\n    d = directions / directions.norm(dim=1, keepdim=True)\n"
         "    return states - (states @ d.T) @ d", "taken away twice"),
        ("def remove(states, directions):\n    return states - directions.sum(0)", "subtract the directions"),
    ],
    "relative_effects": [
        ("def relative_effects(null, changed, direct, indirect):\n"
         "    return tuple((y / null).mean() for y in (changed, direct, indirect))", "subtract 1"),
        ("def relative_effects(null, changed, direct, indirect):\n"
         "    return tuple((y / null - 1).mean() for y in (changed, indirect, direct))", "exchanged"),
        ("def relative_effects(null, changed, direct, indirect):\n"
         "    return tuple(y.mean() / null.mean() - 1 for y in (changed, direct, indirect))", "divide the means"),
        ("def relative_effects(null, changed, direct, indirect):\n"
         "    return tuple((y - null).mean() for y in (changed, direct, indirect))", "these are differences"),
        ("def relative_effects(null, changed, direct, indirect):\n"
         "    return tuple(np.log(y / null).mean() for y in (changed, direct, indirect))", "changes of log-odds"),
        ("def relative_effects(null, changed, direct, indirect):\n    te = (changed / null - 1).mean()\n"
         "    nde = (direct / null - 1).mean()\n    return te, nde, te - nde", "do not"),
    ],
}
