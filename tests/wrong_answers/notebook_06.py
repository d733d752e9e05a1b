"""Wrong answers to the exercises of notebook 06, each with a fragment of the message it must get."""

ALIGN = """def align_labels(word_ids, labels):
    result, before = [], None
    for word in word_ids:
        if word is None:
            result.append({special})
        elif word != before:
            result.append({first})
        else:
            result.append({later})
        before = word
    return result"""


def _align(special: str = "-100", first: str = "labels[word]", later: str = "-100") -> str:
    return ALIGN.format(special=special, first=first, later=later)


SPANS = """def find_spans(tags):
    found, open_ = [], None
    for place, tag in enumerate([*tags, "O"]):
        part, _, kind = tag.partition("-")
        if open_ and (part != "I" or kind != open_[0]):
            found.append((open_[0], open_[1], place))
            open_ = None
        if part != "O" and not open_:
            open_ = (kind, place)
    return found"""

MARK = """def mark_entities(words, head, tail):
    marked = []
    for place in range(len(words) + 1):
        for (start, end), number in ((head, 1), (tail, 2)):
            if place == end:
                marked.append(f"[/E{number}]")
        for (start, end), number in ((head, 1), (tail, 2)):
            if place == start:
                marked.append(f"[E{number}]")
        if place < len(words):
            marked.append(words[place])
    return marked"""

GAP = """def same_length_gap(values, pieces, inside):
    total = weight = 0.0
    for length in np.unique(pieces[inside]):
        own, others = values[inside & (pieces == length)], values[~inside & (pieces == length)]
        if len(others):
            total += len(own) * (own.mean() - others.mean())
            weight += len(own)
    return total / weight"""

WRONG = {
    "align_labels": [
        (_align(later="labels[word]"), "every piece carries"),
        (_align(special="0"), "scored as O"),
        (_align(special="None"), "a label is None"),
        (_align(later="0"), "second piece is no name"),
        ("def align_labels(word_ids, labels):\n"
         "    return [-100 if w is None or w == after else labels[w]\n"
         "            for w, after in zip(word_ids, [*word_ids[1:], None])]", "last piece"),
        ("def align_labels(word_ids, labels):\n    return [labels[w] for w in word_ids if w is not None]",
         "special ones included"),
    ],
    "find_spans": [
        (SPANS.replace('[*tags, "O"]', "tags"), "ends with the sentence"),
        (SPANS.replace("open_[1], place)", "open_[1], place - 1)"), "one past it"),
        (SPANS.replace('part != "I" or', 'part == "O" or'), "side by side became one"),
        (SPANS.replace(" or kind != open_[0]", ""), "compare the types"),
        ("def find_spans(tags):\n    found = []\n    for place, tag in enumerate(tags):\n"
         "        part, _, kind = tag.partition('-')\n"
         "        if part == 'I' and found and found[-1][0] == kind:\n"
         "            found[-1] = (kind, found[-1][1], place + 1)\n"
         "        elif part != 'O':\n            found.append((kind, place, place + 1))\n    return found",
         "an O closes the entity"),
        (SPANS.replace('if part != "O" and not open_', 'if part == "B"'), "was dropped"),
        (SPANS.replace("found.append((open_[0],", "found.append(('B-' + open_[0],"), "what follows B- or I-"),
        (SPANS.replace("return found", "return [kind for kind, _, _ in found]"), "triples"),
    ],
    "mark_entities": [
        (MARK.replace("    marked = []", "    head, tail = sorted([head, tail])\n    marked = []"),
         "also where the head stands second"),
        ("def mark_entities(words, head, tail):\n    marked = list(words)\n"
         "    for place, text in ((head[0], '[E1]'), (head[1], '[/E1]'), (tail[0], '[E2]'), (tail[1], '[/E2]')):\n"
         "        marked.insert(place, text)\n    return marked", "every later place has moved"),
        (MARK.replace("(tail, 2)", "(tail, 1)"), "which is which"),
        (MARK.replace("        if place < len(words):\n            marked.append(words[place])\n", "").replace(
            "    for place in range(len(words) + 1):\n",
            "    for place in range(len(words) + 1):\n"
            "        if 0 < place:\n            pass\n").replace(
            "    return marked",
            "    ends = sorted([(head[0], 1, '[E1]'), (min(head[1] + 1, len(words)), 0, '[/E1]'),\n"
            "                   (tail[0], 1, '[E2]'), (min(tail[1] + 1, len(words)), 0, '[/E2]')], reverse=True)\n"
            "    marked = list(words)\n    for place, _, text in ends:\n        marked.insert(place, text)\n"
            "    return marked"), "too far right"),
        (MARK.replace("place == end", "place == 99").replace("place == start", "place == end").replace(
            "place == 99", "place == start").replace("[/E{number}]", "[!E{number}]").replace(
            "[E{number}]", "[/E{number}]").replace("[!E{number}]", "[E{number}]"), "close before you open"),
        ("def mark_entities(words, head, tail):\n"
         "    return (words[:head[0]] + ['[E1]'] + words[head[0]:head[1]] + ['[/E1]'] + words[head[1]:tail[0]]\n"
         "            + ['[E2]'] + words[tail[0]:tail[1]] + ['[/E2]'] + words[tail[1]:])", "slices that assume"),
        (MARK.replace('marked.append(f"[/E{number}]")', "pass"), "closing markers are missing"),
        (MARK.replace("return marked", "return ' '.join(marked)"), "not a text"),
    ],
    "same_length_gap": [
        ("def same_length_gap(values, pieces, inside):\n    return values[inside].mean() - values[~inside].mean()",
         "compares all names"),
        (GAP.replace("total += len(own) * (own", "total += (own").replace("weight += len(own)", "weight += 1"),
         "however few names"),
        (GAP.replace("total += len(own)", "total += len(others)").replace("weight += len(own)",
                                                                           "weight += len(others)"),
         "the group's own"),
        (GAP.replace("total += len(own)", "total += len(own) * 1.0 + len(others)").replace(
            "len(own) * 1.0 + len(others) *", "(len(own) + len(others)) *").replace(
            "weight += len(own)", "weight += len(own) + len(others)"), "weight by all names"),
        (GAP.replace("return total / weight", "return total / inside.sum()"), "a length that was left out"),
        (GAP.replace("own.mean() - others.mean()", "others.mean() - own.mean()"), "sign is reversed"),
        (GAP.replace("        if len(others):\n            total += len(own) * (own.mean() - others.mean())\n"
                     "            weight += len(own)",
                     "        with np.errstate(all='ignore'):\n"
                     "            total += len(own) * (own.mean() - np.sum(others) / np.float64(len(others)))\n"
                     "            weight += len(own)"), "gap is nan"),
    ],
}
