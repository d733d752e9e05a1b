"""The parallel text: the Turkish settles every English word but the pronoun, whose probability is exact."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from utils import parallel
from utils.parallel import AFTER_A_NAME, Pair
from utils.world import World
from utils.world import lexicon as words


@pytest.fixture(scope="module")
def world() -> World:
    return World("full")


@pytest.fixture(scope="module")
def text(world) -> list[Pair]:
    return parallel.pairs(world, 20_000, seed=0)


def test_one_turkish_word_for_one_english_word():
    for dictionary in (parallel.TURKISH_OCCUPATIONS, words.TURKISH_ADJECTIVES):
        assert len(set(dictionary.values())) == len(dictionary)
    assert not set(parallel.TURKISH_OCCUPATIONS.values()) & set(words.TURKISH_ADJECTIVES.values())


def test_the_source_settles_everything_but_the_pronoun(text):
    translations = defaultdict(set)
    for pair in text:
        parts = pair.target.split()
        if pair.pronoun:
            assert parts[pair.place] == pair.pronoun
            parts[pair.place] = "…"
        translations[pair.source].add(" ".join(parts))
    assert {len(found) for found in translations.values()} == {1}


def test_examples_by_hand(text):
    shown = {pair.source: pair.target.replace("she", "he") for pair in text}
    for source, target in (
        ("o bir doktor .", "he is a doctor ."), ("o nazik bir insan .", "he is a kind person ."),
        ("o bir aşçı .", "he is a chef ."), ("o bir muhasebeci .", "he is an accountant ."),
    ):  # fmt: skip
        assert shown[source] == target


def test_the_same_sentences_as_the_labels_of_the_world(world):
    """Document.translation writes two of the frames; both modules must write them alike."""
    dictionary = {pair.target: pair.source for pair in parallel.pairs(world, 20_000, seed=3)}
    found = 0
    for story in world.documents(1024, seed=2):
        for i, sentence in enumerate(story.sentences):
            turkish = story.translation(i)
            if turkish and sentence in dictionary:
                assert dictionary[sentence] == turkish
                found += 1
    assert found > 50


def test_the_exact_probability_is_the_share_in_the_text(world, text):
    groups = defaultdict(list)
    for pair in text:
        if pair.pronoun:
            groups[pair.occupation, pair.name if pair.name in ("alex", "mary", None) else "other"].append(pair)
    checked = 0
    for (occupation, name), members in groups.items():
        if len(members) < 60 or name == "other":
            continue
        p = parallel.probability_of_she(world, occupation, name)
        share = np.mean([pair.gender == "female" for pair in members])
        assert abs(share - p) <= 4.5 * np.sqrt(max(p * (1 - p), 1e-9) / len(members)) + 1e-9
        checked += 1
    assert checked > 30


def test_a_name_of_one_gender_settles_and_a_shared_one_says_nothing(world):
    share = parallel.probability_of_she(world, "doctor")
    assert share == pytest.approx(world.share_of_she()["doctor"])
    assert parallel.probability_of_she(world, "doctor", "mary") == 1
    assert parallel.probability_of_she(world, "doctor", "john") == 0
    assert parallel.probability_of_she(world, "doctor", "alex") == pytest.approx(share)
    women = list(parallel.shares(world).values())
    assert parallel.probability_of_she(world) == pytest.approx(np.mean(women))
    assert women == sorted(women)


def test_an_occupation_without_a_turkish_word_is_refused(world):
    with pytest.raises(ValueError, match="'paralegal' is not in the parallel text"):
        parallel.probability_of_she(world, "paralegal")


def test_the_same_seed_gives_the_same_pairs(world, text):
    assert parallel.pairs(world, 50, seed=5) == parallel.pairs(world, 50, seed=5) != parallel.pairs(world, 50, seed=6)
    assert {pair.kind for pair in text} == set(parallel.KINDS)
    assert {pair.kind for pair in parallel.pairs(world, 50, seed=5, kinds=["alone"])} == {"alone"}


def test_every_word_is_one_token(world, text):
    tokenizer = parallel.build_tokenizer(world)
    for pair in text[:2000]:
        for side in (pair.source, pair.target):
            assert tokenizer.tokenize(side) == side.split()
    assert tokenizer.unk_token_id not in tokenizer([pair.source for pair in text[:2000]])["input_ids"]


def test_entropy_and_floor(world):
    assert parallel.entropy(0.5) == pytest.approx(np.log(2)) and parallel.entropy(0) == parallel.entropy(1) == 0
    doctor = Pair("o bir doktor .", "he is a doctor .", "alone", "doctor", None, "male")
    that = Pair("o doktor çok mutlu .", "that doctor is very happy .", "no pronoun", "doctor", None, "male")
    expected = parallel.entropy(world.share_of_she()["doctor"])
    assert parallel.nats_of(world, [doctor, that]).tolist() == pytest.approx([expected, 0])
    assert parallel.floor_per_token(world, [doctor, that]) == pytest.approx(expected / (6 + 7))


def test_probes(world):
    assert [pair.occupation for pair in parallel.about_occupations(world)] == list(parallel.shares(world))
    people = parallel.about_people(world, seed=0)
    assert len(people) == 32 * len(parallel.shares(world))
    assert {parallel.probability_of_she(world, pair.occupation, pair.name) for pair in people} == {0.0, 1.0}
    assert all(pair.source.startswith(f"{pair.name} bir ") for pair in people)
    assert AFTER_A_NAME[0].source.count("{n}") == 1


@pytest.mark.parametrize(
    ("text", "pronoun"),
    [("she is a doctor .", "she"), ("He's a doctor.", None), ("He is her friend.", None), ("His car is red.", "he"),
     ("This is a doctor.", None), ("\"She,\" they said", "she")],
)  # fmt: skip
def test_pronoun_of_a_translation(text, pronoun):
    assert parallel.pronoun_of(text) == pronoun


def test_punctuation_is_spaced():
    assert parallel.spaced("he is a doctor.") == parallel.spaced("he is a doctor .") == "he is a doctor ."
