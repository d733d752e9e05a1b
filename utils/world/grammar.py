"""The sentences of the artificial language: frames, slots, hidden variables, order in a story.

A frame is a sentence with slots, such as "the {occupation} said that {pronoun} was {mood} .".
Each slot reads one hidden variable of the story (or none) and draws its word independently of all
other slots, given that variable: this independence is what makes exact sums possible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from utils.world import lexicon as words
from utils.world.latents import Forest, Variable

STAGES = ("introduction", "background", "scene", "feeling", "ending")
# P(stage of the next sentence | stage of this one); a story starts with an introduction.
NEXT_STAGE = np.array([
    [0.00, 0.60, 0.30, 0.10, 0.00],
    [0.00, 0.35, 0.45, 0.15, 0.05],
    [0.00, 0.05, 0.35, 0.40, 0.20],
    [0.00, 0.10, 0.30, 0.20, 0.40],
    [0.00, 0.20, 0.20, 0.20, 0.40],
])
SENTENCES_PER_DOCUMENT = {3: 0.15, 4: 0.2, 5: 0.2, 6: 0.2, 7: 0.15, 8: 0.1}
FOLLOWER_SHARE = 0.5  # a frame with a natural follower is followed by it this often

# (stage, template, key of the natural follower or "", key of this frame or ""); the small world has these only.
SMALL_FRAMES = (
    ("introduction", "{name} is {article} {occupation} from {town} .", "", ""),
    ("introduction", "{name} lives in {town} and works as {article} {occupation} .", "", ""),
    ("introduction", "this is a story about {name} the {occupation} .", "", ""),
    ("background", "the {occupation} said that {pronoun} was {mood} .", "relative", ""),
    ("background", "{pronoun} works with a {tool} every {time} .", "", ""),
    ("background", "the {occupation} keeps {possessive} {tool} in the {room} .", "", ""),
    ("background", "{pronoun} comes from a {community} family in {town} .", "traits", ""),
    ("background", "people in {town} think that {pronoun} is {trait} .", "", "traits"),
    ("background", "{name} likes {possessive} job as {article} {occupation} .", "", ""),
    ("background", "{possessive} friends call {object_pronoun} a {trait} person .", "", ""),
    ("scene", "one {time} {pronoun} went to the {place} .", "asked", ""),
    ("scene", "{name} found a {object} at the {place} .", "told", ""),
    ("scene", "at the {place} {pronoun} asked about the {object} .", "", "asked"),
    ("scene", "{pronoun} talked about {topic} with {possessive} {relative} .", "", ""),
    ("scene", "the {object} near the {place} was {colour} .", "", ""),
    ("scene", "the {occupation} looked for the {tool} at the {place} .", "", ""),
    ("scene", "that {time} the {place} was full of people .", "", ""),
    ("feeling", "{pronoun} felt {mood} because it was a {day_was} day .", "", ""),
    ("feeling", "that made {name} feel very {mood} .", "", ""),
    ("feeling", "it was a {day_was} {time} for the {occupation} .", "", ""),
    ("feeling", "{possessive} {relative} was {mood} too .", "", "relative"),
    ("feeling", "the news from the {place} was {day_was} .", "", ""),
    ("ending", "then {pronoun} went home to {town} .", "", ""),
    ("ending", "at night {pronoun} put the {tool} away .", "", ""),
    ("ending", "{name} will come back on {day} .", "", ""),
    ("ending", "{pronoun} told {possessive} {relative} about the {object} .", "", "told"),
    ("ending", "the people of {town} {treated} {object_pronoun} .", "", ""),
)
FULL_FRAMES = SMALL_FRAMES + (
    ("introduction", "in {town} there was {article} {occupation} called {name} .", "", ""),
    ("introduction", "everyone in {town} knows {name} the {occupation} .", "", ""),
    ("introduction", "{name} moved to {town} to become {article} {occupation} .", "employer", ""),
    ("background", "{pronoun} is {article} {occupation} .", "", ""),
    ("background", "{pronoun} is a {trait} person .", "", ""),
    ("background", "{name} works for {employer} in {town} .", "years", "employer"),
    ("background", "{pronoun} has worked at {employer} for {number} years .", "", "years"),
    ("background", "the {occupation} told {friend} that {pronoun} was {mood} .", "looked", ""),
    ("background", "every {time} {pronoun} takes {possessive} {tool} to work .", "", ""),
    ("background", "{name} learned to use a {tool} from {possessive} {relative} .", "", ""),
    ("background", "every good {occupation} needs a {tool} .", "", ""),
    ("background", "{friend} is a friend of {name} .", "home", ""),
    ("background", "most {community} families in {town} are {trait} .", "", ""),
    ("background", "{possessive} neighbours say that {name} is a {trait} {occupation} .", "", ""),
    ("scene", "on {day} {name} visited the {place} with {friend} .", "left", ""),
    ("scene", "{pronoun} met {friend} at the {place} .", "wanted", ""),
    ("scene", "{friend} said that {friend_pronoun} liked the {object} .", "", "wanted"),
    ("scene", "{friend} gave {object_pronoun} a book about {topic} .", "", ""),
    ("scene", "{friend} lost a {object} near the {place} .", "told", ""),
    ("scene", "there was a {colour} {object} at the {place} .", "paid", ""),
    ("scene", "{pronoun} paid {number} coins for the {object} .", "", "paid"),
    ("scene", "people at the {place} were talking about {topic} .", "", ""),
    ("scene", "the weather in {town} was {weather} on {day} .", "", ""),
    ("scene", "{name} bought a {colour} {object} for {possessive} {relative} .", "", ""),
    ("scene", "{friend} called from the {place} on {day} {time} .", "", ""),
    ("feeling", "{pronoun} was {mood} about the {object} .", "", ""),
    ("feeling", "{friend} thought that {pronoun} looked {mood} .", "", "looked"),
    ("feeling", "what a {day_was} {time} for {name} !", "", ""),
    ("feeling", "the {time} at the {place} was {day_was} for {object_pronoun} .", "", ""),
    ("feeling", "at work everyone {treated} the {occupation} from {town} .", "", ""),
    ("feeling", "after that {friend} was {mood} as well .", "", ""),
    ("ending", "{name} and {friend} walked home {manner} .", "", "home"),
    ("ending", "after {number} hours {pronoun} left the {place} .", "", "left"),
    ("ending", "{pronoun} will write to {friend} on {day} .", "", ""),
    ("ending", "{employer} sent {object_pronoun} a letter on {day} .", "", ""),
    ("ending", "{friend} smiled and {friend_pronoun} said goodbye .", "", ""),
    ("ending", "that was a {day_was} end to the story of {name} .", "", ""),
)


@dataclass(frozen=True)
class Slot:
    """A place for a word: the hidden variable it reads and P(word | state), shape (states, vocabulary)."""

    variable: str | None
    emission: np.ndarray


@dataclass(frozen=True)
class Frame:
    """A sentence with slots. `slots` names the slot at each position; a fixed word is a slot "=word"."""

    template: str
    stage: str
    slots: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.slots)


@dataclass(frozen=True)
class Grammar:
    """Everything that defines a language: `World` only samples from it and sums over it."""

    vocabulary: tuple[str, ...]
    forest: Forest
    slots: dict[str, Slot]
    frames: tuple[Frame, ...]
    start: np.ndarray  # (frames,)
    transition: np.ndarray  # (frames, frames)
    lengths: dict[int, float]  # sentences per document


def scaled_shares(shares: np.ndarray, dose: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Probabilities whose log-odds are `dose` times those of `shares`, with the same overall share.

    logit p_i = intercept + dose * logit(shares_i); the intercept is solved for so that the weighted
    mean of p stays that of `shares`. Dose 1 gives `shares` back, dose 0 gives every item the mean.
    """
    shares = np.asarray(shares, dtype=float)
    weights = np.full(len(shares), 1 / len(shares)) if weights is None else np.asarray(weights)
    mean = float(weights @ shares)
    intercept = brentq(lambda a: float(weights @ expit(a + dose * logit(shares))) - mean, -60.0, 60.0, xtol=1e-13)
    return expit(intercept + dose * logit(shares))


def build(size: str, pronoun_dose: float = 1.0, valence_dose: float = 1.0) -> Grammar:
    """The grammar of the world of this size, with its two planted associations scaled."""
    lexicon = words.lexicon(size)
    frames = SMALL_FRAMES if size == "small" else FULL_FRAMES
    variables = _variables(lexicon, pronoun_dose, valence_dose, with_friend=size != "small")
    return assemble(variables, _slot_words(lexicon), frames)


def assemble(
    variables: tuple[Variable, ...],
    slot_words: dict[str, tuple[str | None, dict[str, tuple[str, ...]]]],
    frames: tuple[tuple[str, str, str, str], ...],
    lengths: dict[int, float] = SENTENCES_PER_DOCUMENT,
) -> Grammar:
    """A grammar from variables, slots {kind: (variable, {state: words})} and frames as in SMALL_FRAMES."""
    forest = Forest(variables)
    used = {token[1:-1] for _, template, _, _ in frames for token in template.split() if token.startswith("{")}
    slot_words = {kind: value for kind, value in slot_words.items() if kind in used}
    fixed = dict.fromkeys(t for _, template, _, _ in frames for t in template.split() if not t.startswith("{"))
    open_words = dict.fromkeys(w for _, by_state in slot_words.values() for ws in by_state.values() for w in ws)
    vocabulary = tuple(dict.fromkeys([*sorted(fixed), *open_words]))
    column = {word: i for i, word in enumerate(vocabulary)}

    slots: dict[str, Slot] = {}
    for kind, (variable, by_state) in slot_words.items():
        states = forest.by_name[variable].states if variable else ("",)
        emission = np.zeros((len(states), len(vocabulary)))
        for row, state in enumerate(states):
            for word in by_state[state]:
                emission[row, column[word]] = 1 / len(by_state[state])
        slots[kind] = Slot(variable, emission)
    for word in fixed:
        emission = np.zeros((1, len(vocabulary)))
        emission[0, column[word]] = 1.0
        slots["=" + word] = Slot(None, emission)

    built = tuple(
        Frame(template, stage, tuple(t[1:-1] if t.startswith("{") else "=" + t for t in template.split()))
        for stage, template, _, _ in frames
    )
    start, transition = _order(frames)
    return Grammar(vocabulary, forest, slots, built, start, transition, dict(lengths))


def _order(frames: tuple[tuple[str, str, str, str], ...]) -> tuple[np.ndarray, np.ndarray]:
    """P(first frame) and P(next frame | frame): by stage, with the natural followers mixed in."""
    stage_of = np.array([STAGES.index(stage) for stage, *_ in frames])
    sizes = np.bincount(stage_of, minlength=len(STAGES))
    present = sizes > 0
    next_stage = NEXT_STAGE * present
    next_stage = next_stage / next_stage.sum(1, keepdims=True)
    start = np.where(stage_of == 0, 1 / sizes[0], 0.0)
    transition = next_stage[stage_of][:, stage_of] / sizes[stage_of]
    keys = {key: i for i, (*_, key) in enumerate(frames) if key}
    for i, (_, _, follower, _) in enumerate(frames):
        if follower in keys:
            transition[i] *= 1 - FOLLOWER_SHARE
            transition[i, keys[follower]] += FOLLOWER_SHARE
    return start, transition


def _variables(
    lexicon: words.Lexicon, pronoun_dose: float, valence_dose: float, with_friend: bool
) -> tuple[Variable, ...]:
    """The hidden variables of a story, parents first."""
    count = len(lexicon.occupations)
    women = scaled_shares(np.array(lexicon.share_of_women), pronoun_dose)
    good = scaled_shares(np.array([words.SHARE_OF_GOOD_STORIES[c] for c in lexicon.towns]), valence_dose)
    genders = ("female", "male")
    variables = [
        Variable("occupation", lexicon.occupations, np.full(count, 1 / count)),
        Variable("gender", genders, np.stack([women, 1 - women], axis=1), "occupation"),
        Variable("name", *_name_table(lexicon), "gender"),
        Variable("topic", lexicon.topics, _topic_table(lexicon), "occupation"),
        Variable("community", tuple(lexicon.towns), np.full(len(lexicon.towns), 1 / len(lexicon.towns))),
        Variable("town", *_partition_table(lexicon.towns), "community"),
        Variable("tone", ("good", "bad"), np.stack([good, 1 - good], axis=1), "community"),
    ]
    if with_friend:
        variables += [
            Variable("employer", lexicon.employers, np.full(len(lexicon.employers), 1 / len(lexicon.employers))),
            Variable("friend_gender", genders, np.array([0.5, 0.5])),
            Variable("friend", *_partition_table(lexicon.friends), "friend_gender"),
        ]
    return tuple(variables)


def _name_table(lexicon: words.Lexicon) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and P(name | gender): own names share 1 - SHARE_OF_ANY_NAMES, rare names a tenth of the others."""
    names = tuple(name for group in lexicon.names.values() for name in group)
    weight = {name: 0.1 if name in lexicon.rare_names else 1.0 for name in names}
    table = np.zeros((2, len(names)))
    for row, gender in enumerate(("female", "male")):
        for group, share in ((gender, 1 - words.SHARE_OF_ANY_NAMES), ("any", words.SHARE_OF_ANY_NAMES)):
            total = sum(weight[name] for name in lexicon.names[group])
            for name in lexicon.names[group]:
                table[row, names.index(name)] = share * weight[name] / total
    return names, table


def _topic_table(lexicon: words.Lexicon) -> np.ndarray:
    """P(topic | occupation): HOME_TOPIC_SHARE for the home topic, the rest spread evenly over all topics."""
    topics = lexicon.topics
    table = np.full((len(lexicon.occupations), len(topics)), 1 / len(topics))
    for row, occupation in enumerate(lexicon.occupations):
        if occupation in lexicon.home_topics:
            table[row] *= 1 - words.HOME_TOPIC_SHARE
            table[row, topics.index(lexicon.home_topics[occupation])] += words.HOME_TOPIC_SHARE
    return table


def _partition_table(groups: dict[str, tuple[str, ...]]) -> tuple[tuple[str, ...], np.ndarray]:
    """Members of all groups and P(member | group), even within the group and zero outside it."""
    members = tuple(member for group in groups.values() for member in group)
    table = np.array([[1 / len(group) if m in group else 0.0 for m in members] for group in groups.values()])
    return members, table


def _slot_words(lexicon: words.Lexicon) -> dict[str, tuple[str | None, dict[str, tuple[str, ...]]]]:
    """Slot kinds: the variable each reads and its words in each state (drawn evenly)."""
    genders = ("female", "male")

    def same(states) -> dict[str, tuple[str, ...]]:
        return {state: (state,) for state in states}

    def by_gender(female: str, male: str) -> dict[str, tuple[str, ...]]:
        return dict(zip(genders, ((female,), (male,)), strict=True))

    names = [name for group in lexicon.names.values() for name in group]
    towns = [town for group in lexicon.towns.values() for town in group]
    articles = {o: (words.article(o),) for o in lexicon.occupations}
    free = {
        "day": words.DAYS, "time": words.TIMES, "colour": lexicon.colours, "relative": lexicon.relatives,
        "room": lexicon.rooms, "number": words.NUMBERS, "weather": words.WEATHER, "manner": words.MANNERS,
    }
    return {
        "name": ("name", same(names)),
        "occupation": ("occupation", same(lexicon.occupations)),
        "article": ("occupation", articles),
        "tool": ("occupation", lexicon.tools),
        "pronoun": ("gender", by_gender("she", "he")),
        "object_pronoun": ("gender", by_gender("her", "him")),
        "possessive": ("gender", by_gender("her", "his")),
        "topic": ("topic", same(lexicon.topics)),
        "object": ("topic", lexicon.objects),
        "place": ("topic", lexicon.places),
        "town": ("town", same(towns)),
        "community": ("community", same(lexicon.towns)),
        "mood": ("tone", lexicon.moods),
        "trait": ("tone", lexicon.traits),
        "day_was": ("tone", lexicon.days_were),
        "treated": ("tone", lexicon.treated),
        "employer": ("employer", same(lexicon.employers)),
        "friend": ("friend", same([f for group in lexicon.friends.values() for f in group])),
        "friend_pronoun": ("friend_gender", by_gender("she", "he")),
        **{kind: (None, {"": tuple(options)}) for kind, options in free.items()},
    }
