"""Answers that learners give in notebook 01, and a piece of the message that each must get."""

WRONG = {
    "log_likelihood": [
        (
            "def log_likelihood(words):\n"
            "    counts = Counter(piece for pieces in words for piece in pieces)\n"
            "    return sum(n * np.log(n / counts.total()) for n in counts.values())",
            "count every word once",
        ),
        (
            "def log_likelihood(words):\n"
            "    counts = wordpiece.count_pieces(words)\n"
            "    return sum(n * np.log(n / counts.total()) for n in counts.values()) / counts.total()",
            "the mean per piece",
        ),
        (
            "def log_likelihood(words):\n"
            "    counts = wordpiece.count_pieces(words)\n"
            "    return sum(n * np.log(n / len(counts)) for n in counts.values())",
            "number of different pieces",
        ),
        (
            "def log_likelihood(words):\n"
            "    counts = wordpiece.count_pieces(words)\n"
            "    return sum(np.log(n / counts.total()) for n in counts.values())",
            "added once",
        ),
        (
            "def log_likelihood(words):\n"
            "    counts = wordpiece.count_pieces(words)\n"
            "    return -sum(n * np.log(n / counts.total()) for n in counts.values())",
            "turned round",
        ),
        (
            "def log_likelihood(words):\n"
            "    counts = wordpiece.count_pieces(words)\n"
            "    return sum(n * np.log2(n / counts.total()) for n in counts.values())",
            "in bits",
        ),
    ],
    "pieces_per_name": [
        (
            "def pieces_per_name(names, tokenizer):\n"
            "    return np.mean([len(tokenizer(name)['input_ids']) for name in names])",
            "two tokens too many",
        ),
        (
            "def pieces_per_name(names, tokenizer):\n"
            "    return tokenizer(names, padding=True, return_tensors='pt')['input_ids'].shape[1]",
            "as long as the longest",
        ),
        (
            "def pieces_per_name(names, tokenizer):\n"
            "    return len(tokenizer(' '.join(names))['input_ids']) / len(names)",
            "joined names",
        ),
        (
            "def pieces_per_name(names, tokenizer):\n"
            "    return np.mean([len(tokenizer.tokenize(name)) > 1 for name in names])",
            "share of names that are cut",
        ),
        (
            "def pieces_per_name(names, tokenizer):\n"
            "    return sum(len(tokenizer.tokenize(name)) for name in names)",
            "divide by the number of names",
        ),
        (
            "def pieces_per_name(names, tokenizer):\n    return np.mean([len(name) for name in names])",
            "you count letters",
        ),
    ],
    "layer_norm": [
        (
            "def layer_norm(x, weight, bias, eps):\n"
            "    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + eps).sqrt()",
            "weight and bias are not applied",
        ),
        (
            "def layer_norm(x, weight, bias, eps):\n"
            "    z = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + eps).sqrt()\n"
            "    return z * weight + bias",
            "width - 1",
        ),
        (
            "def layer_norm(x, weight, bias, eps):\n"
            "    z = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True, correction=0) + eps)\n"
            "    return z * weight + bias",
            "under the root",
        ),
        (
            "def layer_norm(x, weight, bias, eps):\n"
            "    z = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + eps).sqrt()\n"
            "    return z * weight + bias",
            "over the sequence",
        ),
        (
            "def layer_norm(x, weight, bias, eps):\n"
            "    z = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + eps)\n"
            "    return z * weight + bias",
            "divide by its square root",
        ),
        (
            "def layer_norm(x, weight, bias, eps):\n"
            "    return (x - x.mean()) / (x.var(correction=0) + eps).sqrt() * weight + bias",
            "one mean for the whole tensor",
        ),
        (
            "def layer_norm(x, weight, bias, eps):\n"
            "    return (x - x.mean(-1)) / (x.var(-1, correction=0) + eps).sqrt() * weight + bias",
            "RuntimeError",
        ),
    ],
    "glove_loss": [
        (
            "def glove_loss(X, w, c, b, d):\n"
            "    f = (X / 10).clamp(max=1) ** 0.75\n"
            "    return (f * (w @ c.T + b[:, None] + d - X.log()) ** 2).sum()",
            "not a number",
        ),
        (
            "def glove_loss(X, w, c, b, d):\n"
            "    error = w @ c.T + b[:, None] + d - X.clamp(min=1e-9).log()\n"
            "    return ((X > 0) * error**2).sum()",
            "weighs the same",
        ),
        (
            "def glove_loss(X, w, c, b, d):\n"
            "    error = w @ c.T + b[:, None] + d - X.clamp(min=1e-9).log()\n"
            "    return ((X / 10) ** 0.75 * error**2).sum()",
            "weigh more than 1",
        ),
        (
            "def glove_loss(X, w, c, b, d):\n"
            "    error = w @ c.T + b + d[:, None] - X.clamp(min=1e-9).log()\n"
            "    return ((X / 10).clamp(max=1) ** 0.75 * error**2).sum()",
            "wrong side",
        ),
        (
            "def glove_loss(X, w, c, b, d):\n"
            "    error = w @ c.T + b[:, None] + d - (X + 1).log()\n"
            "    return ((X / 10).clamp(max=1) ** 0.75 * error**2).sum()",
            "log(X + 1)",
        ),
        (
            "def glove_loss(X, w, c, b, d):\n"
            "    error = w @ c.T + b[:, None] + d - X.clamp(min=1e-9).log()\n"
            "    return ((X / 10).clamp(max=1) ** 0.75 * error**2).mean()",
            "equation 8 is a sum",
        ),
        (
            "def glove_loss(X, w, c, b, d):\n"
            "    error = c @ w.T + b[:, None] + d - X.clamp(min=1e-9).log()\n"
            "    return ((X / 10).clamp(max=1) ** 0.75 * error**2).sum()",
            "transposed",
        ),
        (
            "def glove_loss(X, w, c, b, d):\n"
            "    error = w @ c.T + b[:, None] + d - X.clamp(min=1e-9).log()\n"
            "    return ((X / 100).clamp(max=1) ** 0.75 * error**2).sum()",
            "x_max is 10",
        ),
        (
            "def glove_loss(X, w, c, b, d):\n"
            "    error = w @ c.T - X.clamp(min=1e-9).log()\n"
            "    return ((X / 10).clamp(max=1) ** 0.75 * error**2).sum()",
            "two biases are missing",
        ),
    ],
    "nearer": [
        (
            "def nearer(anchor, same, other):\n"
            "    return (F.cosine_similarity(anchor, same) >= F.cosine_similarity(anchor, other)).double()",
            "a tie scores 1",
        ),
        (
            "def nearer(anchor, same, other):\n"
            "    return (F.cosine_similarity(anchor, same) > F.cosine_similarity(anchor, other)).double()",
            "a tie scores 0",
        ),
        (
            "def nearer(anchor, same, other):\n"
            "    a, b = (anchor * same).sum(1), (anchor * other).sum(1)\n"
            "    return torch.where(a == b, 0.5, (a > b).double())",
            "favours long vectors; divide",
        ),
        (
            "def nearer(anchor, same, other):\n"
            "    a, b = (anchor - same).norm(dim=1), (anchor - other).norm(dim=1)\n"
            "    return torch.where(a == b, 0.5, (a < b).double())",
            "Euclidean distance",
        ),
        (
            "def nearer(anchor, same, other):\n"
            "    return (F.cosine_similarity(anchor, same) > F.cosine_similarity(anchor, other)).double().mean()",
            "shape (6,)",
        ),
    ],
}
