"""Ways of taking a bias out: toy cases worked by hand, and the properties that each method promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils import debias, debiasing, interventions, likelihood, models
from utils.bias import planted
from utils.likelihood import Question
from utils.world import World


@pytest.fixture(scope="module")
def world():
    return World("small")


@pytest.fixture(scope="module")
def small():
    return models.load("world-small", head="masked-lm")


# ------------------------------------------------------------------------------------------ the text


def test_a_sentence_is_swapped_word_by_word_and_all_at_once(world):
    partners = debias.gender_partners(world)
    for given, expected in (("mary likes her job as a nurse .", "john likes his job as a nurse ."),
                            ("he told his sister about the case .", "she told her sister about the case ."),
                            ("the people of zelmar thanked her .", "the people of zelmar thanked him ."),
                            ("her friends call her a kind person .", "his friends call him a kind person .")):
        assert debias.counterfactual([given], partners) == [expected]


def test_swapped_twice_every_sentence_is_itself_again(world):
    partners = debias.gender_partners(world)
    for story in world.documents(400, seed=3):
        once = debias.counterfactual(story.sentences, partners)
        assert debias.counterfactual(once, partners) == story.sentences


@pytest.mark.parametrize("size", ["small", "full"])
def test_what_follows_her_tells_what_it_is_in_every_sentence_of_the_world(size):
    """The rule looks at the next word; the world knows whether "her" stands for him or his."""
    world = World(size)
    partners, seen = debias.gender_partners(world), set()
    for story in world.documents(600, seed=4):
        others = debias.counterfactual(story.sentences, partners)
        for sentence, frame, swapped in zip(story.sentences, story.frames, others, strict=True):
            for kind, word, other in zip(frame.slots, sentence.split(), swapped.split(), strict=True):
                if word == "her":
                    assert other == {"object_pronoun": "him", "possessive": "his"}[kind]
                    seen.add(kind)
    assert seen == {"object_pronoun", "possessive"}


def test_the_counterfactual_story_is_one_that_the_world_writes(world):
    partners = debias.gender_partners(world)
    for story in world.documents(60, seed=5):
        for sentence in debias.counterfactual(story.sentences, partners):
            assert np.isfinite(world.log_probability(sentence))
    broken = debias.counterfactual(["the people of zelmar thanked her ."], partners, her="his")
    assert world.log_probability(broken[0]) == -np.inf


def test_the_map_of_names_is_its_own_inverse_and_leaves_shared_names_alone(world):
    partners = debias.gender_partners(world)
    names = [name for gender in ("female", "male") for name in planted.names_of(world, gender)]
    assert all(partners[partners[name]] == name for name in names)
    assert not set(planted.names_of(world, "any")) & set(partners)
    assert not set(names) & set(debias.gender_partners(world, names=False))


def test_the_control_is_the_same_blocks_not_swapped(world):
    stories = world.documents(5, seed=6)
    control = debias.augmented(stories, None)
    swapped = debias.augmented(stories, debias.gender_partners(world))
    assert control[:5] == control[5:] == swapped[:5] == [story.sentences for story in stories]
    assert swapped[5:] != swapped[:5]
    assert [list(map(len, map(str.split, s))) for s in swapped] == [list(map(len, map(str.split, s))) for s in control]


def test_augmented_text_has_no_pronoun_bias_left(world):
    """Exactly: each occupation is said with both genders equally often."""
    text = debias.augmented(world.documents(3000, seed=7), debias.gender_partners(world))
    said = [s.split() for story in text for s in story if " said that " in s]
    for occupation in ("nurse", "carpenter"):
        pronouns = [words[4] for words in said if words[1] == occupation]
        assert pronouns.count("she") == pronouns.count("he") > 0


def test_all_arms_read_the_same_places(world, small):
    """Hidden places and lengths are equal, so that nothing differs between CDA and its control but the words."""
    stories, tokenizer = world.documents(40, seed=8), small[1]
    rows = {arm: debiasing.examples(debiasing.text_of(arm, world, stories), tokenizer, 2, seed=0)
            for arm in debiasing.ARMS}
    for arm, own in rows.items():
        assert len(own) == 2 * debiasing.BATCH
        for mine, control in zip(own, rows["control"], strict=True):
            assert len(mine["input_ids"]) == len(control["input_ids"])
            assert [label == -100 for label in mine["labels"]] == [label == -100 for label in control["labels"]]
        assert (own == rows["control"]) == (arm in ("control", "dropout", "fair text"))  # of the same stories
    assert {arm for arm in debiasing.ARMS if debiasing.world_of(arm).pronoun_dose == 0} == {"fair text"}
    with pytest.raises(ValueError, match="no arm 'prayer'"):
        debiasing.text_of("prayer", world, stories)


def test_dropout_is_on_in_training_only(small):
    model, tokenizer = models.load("world-small", head="masked-lm")
    debias.with_dropout(model)
    batch = tokenizer("the nurse said that [MASK] was happy .", return_tensors="pt")
    assert torch.equal(model(**batch).logits, small[0](**batch).logits)
    model.train()
    assert not torch.equal(model(**batch).logits, model(**batch).logits)
    chances = {name.endswith("attention.self.dropout"): m.p for name, m in model.named_modules()
               if isinstance(m, torch.nn.Dropout)}
    assert chances == {True: 0.15, False: 0.20}


# ------------------------------------------------------------------------------------------ the vectors


@pytest.fixture(scope="module")
def clouds():
    """Two clouds of points in eight dimensions that differ along two of them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=600)
    states = rng.normal(size=(600, 8))
    states[:, 0] += 3 * labels
    states[:, 1] += 1.5 * labels
    return states, labels


def test_inlp_projects_onto_a_null_space(clouds):
    states, labels = clouds
    q = debias.inlp(states, labels, rounds=3)
    assert q.shape == (3, 8)
    projection = np.eye(8) - q.T @ q
    assert np.allclose(q @ q.T, np.eye(3)) and np.allclose(projection @ projection, projection)
    assert np.allclose(projection, projection.T)
    assert np.linalg.matrix_rank(projection) == 8 - 3
    assert np.allclose(projection @ q.T, 0)  # the directions are in the null space
    assert np.allclose(debias.without(debias.without(states, q), q), debias.without(states, q))
    assert np.allclose(debias.without(states, q), states @ projection)


def test_fewer_rounds_of_inlp_begin_the_longer_one_and_leave_more(clouds):
    states, labels = clouds
    q = debias.inlp(states, labels, rounds=3)
    assert np.allclose(debias.inlp(states, labels, rounds=1), q[:1])
    spread = [np.abs(np.subtract(*(debias.without(states, q[:k])[labels == c].mean(0) for c in (0, 1)))).max()
              for k in (0, 1, 3)]
    assert spread[0] > 2.5 and spread[0] > spread[1] > spread[2]
    assert abs(q[0, 0]) > abs(q[0, 1]) > np.abs(q[0, 2:]).max()  # first the coordinate that tells most


def test_sentence_debias_finds_the_direction_of_the_difference_by_hand():
    base = np.array([[5.0, 1.0, 0.0], [2.0, -3.0, 1.0], [0.0, 7.0, 2.0]])
    step = np.array([[3.0, 4.0, 0.0], [6.0, 8.0, 0.0], [-3.0, -4.0, 0.0]])  # all along (3, 4, 0)
    found = debias.sentence_debias(base + step, base)
    assert found.shape == (1, 3) and np.allclose(np.abs(found[0]), [0.6, 0.8, 0.0])
    assert np.allclose(debias.without(base + step, found), debias.without(base, found))


def test_sentence_debias_is_the_published_principal_component():
    """As the published code does it: centre every pair, stack both sides, first principal component."""
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(50, 6)) + 2 * np.eye(6)[3], rng.normal(size=(50, 6))
    mean = (x + y) / 2
    published = PCA(n_components=2).fit(np.concatenate([x - mean, y - mean])).components_
    assert np.allclose(np.abs((published * debias.sentence_debias(x, y, 2)).sum(1)), 1.0)


def test_sentence_debias_refuses_what_is_no_pairs():
    with pytest.raises(ValueError, match="one row per pair"):
        debias.sentence_debias(np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="do not have 4 components"):
        debias.sentence_debias(np.ones((3, 5)), np.zeros((3, 5)), components=4)


def test_a_folded_projection_is_the_hooked_one(small):
    model, tokenizer = models.load("world-small")
    q = np.linalg.qr(np.random.default_rng(2).normal(size=(128, 5)))[0].T
    texts = ["the nurse said that [MASK] was happy .", "then [MASK] went home to zelmar ."]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.no_grad(), interventions.projected(model, 2, torch.tensor(q)):
        hooked = model(**batch)
    with torch.no_grad():
        folded, plain = debias.fold(model, q)(**batch), model(**batch)
    for name in ("prediction_logits", "seq_relationship_logits"):
        assert torch.allclose(folded[name], hooked[name], atol=1e-4)
        assert not torch.allclose(folded[name], plain[name], atol=1e-2)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    with pytest.raises(ValueError, match=r"should be \(k, 128\)"):
        debias.fold(model, q[:, :7])


def test_the_fast_reader_sees_a_folded_projection(small):
    """utils.likelihood computes the head from its weights, past any hook; a folded projection is in the weights."""
    model, tokenizer = small
    q = debiasing.directions_of("random directions", model, tokenizer, World("small"))
    reader, question = likelihood.reader_of(debias.fold(model, q), tokenizer), ("she", "he")
    tokens = reader.tokens("the nurse said that [MASK] was happy .")
    with torch.no_grad(), interventions.projected(model, 2, torch.tensor(q)):
        logits = model(**tokenizer(" ".join(tokens), return_tensors="pt")).logits[0, 5].log_softmax(-1)
    expected = logits[tokenizer.convert_tokens_to_ids(list(question))].numpy()
    assert np.allclose(reader.hidden([Question(tokens, 4, question)])[0], expected, atol=1e-4)


# ------------------------------------------------------------------------------------------ the answers


def test_self_debias_by_hand():
    """Only the first word is likelier after the prompt, by 0.1: factor exp(-0.1 λ), then scale to 1."""
    p, told = np.array([0.6, 0.3, 0.1]), np.array([0.7, 0.3, 0.0])
    factor = np.exp(-1.0)
    expected = np.array([0.6 * factor, 0.3, 0.1]) / (0.6 * factor + 0.4)
    assert np.allclose(debias.self_debias(p, told, decay=10.0), expected)
    assert np.allclose(debias.self_debias(p, p), p)
    assert np.allclose(debias.self_debias(p, told, decay=0.0), p)


def test_self_debias_with_the_published_constants_stops_at_its_floor():
    p, told = np.array([[0.6, 0.4]]), np.array([[0.9, 0.1]])  # exp(-50 * 0.3) would be 3e-7
    assert (debias.DECAY, debias.FLOOR) == (50.0, 0.01)
    assert np.allclose(debias.self_debias(p, told), np.array([[0.006, 0.4]]) / 0.406)


def test_self_debias_of_an_oracle_that_understands_the_prompt_turns_the_bias_round(world):
    reader = debias.SelfDebiased(likelihood.reader_of(world), likelihood.reader_of(World(pronoun_dose=2.0)))
    tokens = reader.tokens("the nurse said that [MASK] was happy .")
    she, he = reader.hidden([Question(tokens, 4, ("she", "he"))])[0]
    exact = world.masked_distribution(" ".join(tokens))
    assert exact["she"] > 0.85 and she < he
    assert np.isclose(np.exp(reader.distributions([Question(tokens, 4, ())])).sum(), 1)
    with pytest.raises(ValueError, match="nothing is hidden"):
        reader.shown([tokens])
    with pytest.raises(ValueError, match="not attention"):
        reader.attention([tokens])


def test_a_told_model_reads_the_prompt_as_its_first_sentence(small, world):
    model, tokenizer = small
    told = debias.Told(model, tokenizer, debiasing.named_again(world))
    tokens = told.tokens("the nurse said that [MASK] was happy .")
    plain = told.tokens("then [MASK] went home to zelmar .")
    answers = told.distributions([Question(plain, 1, ()), Question(tokens, 4, ())])
    batch = tokenizer("this is a story about alex the nurse .", " ".join(tokens), return_tensors="pt")
    with torch.no_grad():
        expected = model(**batch).logits[0, 11 + 4].log_softmax(-1).numpy()
    assert batch["input_ids"][0, 15] == tokenizer.mask_token_id
    assert np.allclose(answers[1], expected, atol=1e-4)
    own = likelihood.reader_of(model, tokenizer).distributions([Question(plain, 1, ())])[0]
    assert np.allclose(answers[0], own, atol=1e-4)  # no occupation, no prompt
