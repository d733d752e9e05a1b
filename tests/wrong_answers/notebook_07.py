"""Wrong answers to the exercises of notebook 07, each with a fragment of the message it must get."""

FORCED = "def decoder_inputs(labels, start_id, pad_id):\n    filled = labels.masked_fill(labels == -100, pad_id)\n"
FIRST = "    first = torch.full_like(labels[:, :1], start_id)\n"
GRAMS = (
    "def clipped_precision(translation, reference, n):\n"
    "    def grams(text):\n"
    "        words = text.split()\n"
    "        return [tuple(words[i:i + n]) for i in range(len(words) - n + 1)]\n"
    "    said, wanted = Counter(grams(translation)), Counter(grams(reference))\n"
    "    matches = sum(min(count, wanted[gram]) for gram, count in said.items())\n"
)

WRONG = {
    "decoder_inputs": [
        (FORCED + "    return filled", "nothing is shifted"),
        (FORCED + FIRST + "    return torch.cat([first, labels[:, :-1]], dim=1)", "-100 is left"),
        (FORCED + "    return torch.cat([filled[:, 1:], torch.full_like(filled[:, :1], pad_id)], dim=1)",
         "move to the left"),
        (FORCED + "    return filled.roll(1, dims=1)", "come round"),
        (FORCED + FIRST + "    return torch.cat([first, filled], dim=1)", "one longer"),
        (FORCED + FIRST + "    shifted = torch.cat([first, labels[:, :-1]], dim=1)\n"
         "    return shifted.masked_fill(labels == -100, pad_id)", "one place too early"),
        (FORCED + "    return torch.cat([torch.full_like(filled[:, :1], pad_id), filled[:, :-1]], dim=1)",
         "begins with pad_id"),
    ],
    "clipped_precision": [
        (GRAMS + "    return sum(count for gram, count in said.items() if gram in wanted) / sum(said.values())",
         "clip its count"),
        (GRAMS + "    return matches / sum(wanted.values())", "that is recall"),
        (GRAMS + "    return len(set(said) & set(wanted)) / len(set(said))", "compare sets"),
        (GRAMS.replace("len(words) - n + 1", "len(words) - n") + "    return matches / sum(said.values())",
         "last n-gram is missing"),
        (GRAMS + "    return matches", "number of matches"),
        (GRAMS + "    return matches / len(translation.split())", "k - n + 1"),
        (GRAMS + "    pairs = list(zip(grams(translation), grams(reference)))\n"
         "    return sum(a == b for a, b in pairs) / len(grams(translation))", "position by position"),
    ],
    "amplification": [
        ("def amplification(true, shown):\n    return (shown - true).mean()", "turn the sign"),
        ("def amplification(true, shown):\n    return np.abs(shown - true).mean()", "towards one half"),
        ("def amplification(true, shown):\n    return (shown - true)[true > 0.5].mean()", "left out"),
        ("def amplification(true, shown):\n    return np.where(true > 0.5, shown - true, true - shown).sum()",
         "this is the sum"),
        ("def amplification(true, shown):\n    return np.where(shown > 0.5, shown - true, true - shown).mean()",
         "majority in truth"),
        ("def amplification(true, shown):\n"
         "    return (np.maximum(shown, 1 - shown) - np.maximum(true, 1 - true)).mean()", "leads in the output"),
        ("def amplification(true, shown):\n    return np.where(true > 0.5, true - shown, shown - true).mean()",
         "sign is reversed"),
        ("def amplification(true, shown):\n    return np.where(true > 0.5, shown - true, true - shown)",
         "return its mean"),
    ],
    "at_temperature": [
        ("def at_temperature(p, temperature):\n    return p ** (1 / temperature)", "not a probability yet"),
        ("def at_temperature(p, temperature):\n    a, b = p ** temperature, (1 - p) ** temperature\n"
         "    return a / (a + b)", "sharpen"),
        ("def at_temperature(p, temperature):\n    return p / temperature", "cannot be divided"),
        ("def at_temperature(p, temperature):\n    return p * temperature", "is not multiplied"),
        ("def at_temperature(p, temperature):\n    a, b = np.exp(p / temperature), np.exp((1 - p) / temperature)\n"
         "    return a / (a + b)", "probabilities for logits"),
        ("def at_temperature(p, temperature):\n    a, b = p ** (1 / temperature), (1 - p) ** (1 / temperature)\n"
         "    return b / (a + b)", "other outcome"),
        ("def at_temperature(p, temperature):\n    return p", "changes nothing"),
    ],
}
