"""Wrong answers to the exercises of notebook 02, each with a fragment of the message it must get."""

CORRUPT = "def corrupt(input_ids, special, draw, fate, random_ids, mask_id):\n"

WRONG = {
    "masked_mean": [
        ("def masked_mean(losses, labels):\n    return losses.mean()", "runs over every position"),
        ("def masked_mean(losses, labels):\n    return (losses * (labels != -100)).mean()", "still divide by all"),
        ("def masked_mean(losses, labels):\n    return losses[labels != -100].sum()", "this is the sum"),
        ("def masked_mean(losses, labels):\n    asked = labels != -100\n"
         "    return ((losses * asked).sum(1) / asked.sum(1)).mean()", "each text's mean"),
        ("def masked_mean(losses, labels):\n    return losses[labels]", "IndexError"),
    ],
    "corrupt": [
        (CORRUPT + "    selected = draw < 0.15\n"
         "    labels = torch.where(selected, input_ids, -100)\n"
         "    return torch.where(selected, mask_id, input_ids), labels", "never selected"),
        (CORRUPT + "    selected = (draw < 0.15) & ~special\n"
         "    return torch.where(selected, mask_id, input_ids), torch.where(selected, input_ids, -100)",
         "every selected word became"),
        (CORRUPT + "    selected = (draw < 0.15) & ~special\n"
         "    return torch.where(selected & (fate < 0.8), mask_id, input_ids), input_ids",
         "every position has a label"),
        (CORRUPT + "    selected = (draw < 0.15) & ~special\n"
         "    hidden = torch.where(selected & (fate < 0.8), mask_id, input_ids)\n"
         "    hidden = torch.where(selected & (fate >= 0.8) & (fate < 0.9), random_ids, hidden)\n"
         "    return hidden, torch.where(selected, hidden, -100)", "labels hold the corrupted word"),
        (CORRUPT + "    selected = (draw < 0.15) & ~special\n"
         "    hidden = torch.where(selected & (fate < 0.8), mask_id, input_ids)\n"
         "    hidden = torch.where(selected & (fate >= 0.9), random_ids, hidden)\n"
         "    return hidden, torch.where(selected, input_ids, -100)", "random and kept are exchanged"),
    ],
    "kl_divergence": [
        ("def kl_divergence(p, q):\n    return sum(q[w] * np.log(q[w] / max(p[w], 1e-300)) for w in p)", "KL(q || p)"),
        ("def kl_divergence(p, q):\n    return sum(p[w] * np.log2(p[w] / q[w]) for w in p if p[w] > 0)", "in bits"),
        ("def kl_divergence(p, q):\n    return -sum(p[w] * np.log(q[w]) for w in p)", "cross-entropy"),
        ("def kl_divergence(p, q):\n    return sum(p[w] * np.log(q[w] / p[w]) for w in p if p[w] > 0)",
         "sign is turned"),
        ("def kl_divergence(p, q):\n    with np.errstate(all='ignore'):\n"
         "        return sum(np.float64(p[w]) * np.log(np.float64(p[w]) / q[w]) for w in p)", "makes this nan"),
    ],
    "is_sound_loss": [
        ("def is_sound_loss(loss):\n    return True", "mean before it multiplies"),
        ("def is_sound_loss(loss):\n    return False", "rejects a correct implementation"),
        ("def is_sound_loss(loss):\n    labels = torch.tensor([[-100, 3, -100]])\n    first = torch.zeros(1, 3, 8)\n"
         "    second = first.clone()\n    second[0, 2, 5] = 9.0\n"
         "    return bool(torch.isclose(loss(first, labels), loss(second, labels)))", "divides by all positions"),
        ("def is_sound_loss(loss):\n    labels = torch.tensor([[-100, 3, -100]])\n    first = torch.zeros(1, 3, 8)\n"
         "    second = first.clone()\n    second[0, 2, 5] = 9.0\n    known = torch.log(torch.tensor(8.0))\n"
         "    return bool(torch.isclose(loss(first, labels), known) and torch.isclose(loss(second, labels), known))",
         "averages each text first"),
    ],
    "is_sound_embedding": [
        ("def is_sound_embedding(embed):\n    return True", "run along the batch"),
        ("def is_sound_embedding(embed):\n    return False", "rejects a correct implementation"),
        ("def is_sound_embedding(embed):\n    ids = torch.tensor([[2, 5, 2], [2, 5, 2]])\n"
         "    vectors = embed(ids, torch.eye(8), 2 * torch.eye(8))\n    return bool((vectors[0] == vectors[1]).all())",
         "without positions"),
        ("def is_sound_embedding(embed):\n    ids = torch.tensor([[2, 5, 2], [2, 5, 2]])\n"
         "    vectors = embed(ids, torch.eye(8), 2 * torch.eye(8))\n"
         "    return bool((vectors[0] == vectors[1]).all() and not (vectors == torch.eye(8)[ids]).all())",
         "same position"),
    ],
}
