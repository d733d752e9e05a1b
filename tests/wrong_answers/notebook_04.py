"""Wrong answers to the exercises of notebook 04, each with a fragment of the message it must get."""

RATE = "def learning_rate(step, steps, warmup, peak):\n"
COMBINE = "def combine(gradients, counts):\n"
RESUMES = "def resumes_exactly(run):\n"
FLOPS = "def training_flops(layers, width, tokens):\n"

WRONG = {
    "learning_rate": [
        (RATE + "    return peak * min(step / warmup, (steps - step) / (steps - warmup))", "is wasted"),
        (RATE + "    return peak * min((step + 1) / warmup, (steps - step - 1) / (steps - warmup))",
         "the last step has"),
        (RATE + "    return peak * min(1.0, (step + 1) / warmup)", "rises and then stays"),
        (RATE + "    return peak * (steps - step) / steps", "falls from the first step"),
        (RATE + "    return peak * min(1.0, (step + 1) / warmup) * (steps - step) / steps", "peak is never reached"),
        (RATE + "    if step < warmup:\n        return peak * (step + 1) / warmup\n"
         "    return peak * (1 + np.cos(np.pi * (step - warmup) / (steps - warmup))) / 2", "that is a cosine"),
        (RATE + "    return min((step + 1) / warmup, (steps - step) / (steps - warmup))", "multiply it by the peak"),
    ],
    "combine": [
        (COMBINE + "    return sum(gradients) / len(gradients)", "mean of the parts' means"),
        (COMBINE + "    return sum(gradients)", "grows with the number of parts"),
        (COMBINE + "    return sum(g * n for g, n in zip(gradients, counts))", "must add up to 1"),
        (COMBINE + "    return sum(g * n for g, n in zip(gradients, counts)) / len(counts)",
         "divide by the number of parts"),
        (COMBINE + "    return sum(g * (sum(counts) - n) for g, n in zip(gradients, counts)) / sum(counts)",
         "turned round"),
        (COMBINE + "    return torch.stack(gradients)", "shape"),
    ],
    "resumes_exactly": [
        (RESUMES + "    return True", "running averages"),
        (RESUMES + "    return torch.equal(run(None, 12)['weights'], run(run(None, 4), 12)['weights'])",
         "middle of an epoch"),
        (RESUMES + "    return torch.allclose(run(None, 12)['weights'], run(run(None, 5), 12)['weights'], atol=1e-2)",
         "not for closeness"),
        (RESUMES + "    return torch.allclose(run(None, 12)['weights'], run(run(None, 5), 12)['weights'])",
         "off in their last digit"),
        (RESUMES + "    return False", "keeps everything"),
    ],
    "training_flops": [
        (FLOPS + "    return 2 * 12 * layers * width**2 * tokens", "a third of it"),
        (FLOPS + "    return 3 * 12 * layers * width**2 * tokens", "are two operations"),
        (FLOPS + "    return 6 * layers * width**2 * tokens", "twelve matrices"),
        (FLOPS + "    return 6 * 12 * width**2 * tokens", "this is one layer"),
        (FLOPS + "    return 6 * 8 * layers * width**2 * tokens", "counted the feed-forward part"),
        (FLOPS + "    return 6 * 12 * layers * width * tokens", "square the width"),
    ],
}  # fmt: skip
