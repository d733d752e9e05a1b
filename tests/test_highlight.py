"""Coloured words: no text becomes part of the page, and the numbers are all there."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from utils import attribution, models
from utils.highlight import Highlighted

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</span></div><iframe src=javascript:alert(1)>",
    "&lt;script&gt;",
]


class Page(HTMLParser):
    """The tags, attributes and text of a page, as a browser would see them."""

    def __init__(self, source: str):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_text_cannot_become_part_of_the_page(attack):
    page = Page(Highlighted([attack, "soup"], [1.0, -0.5], title=attack)._repr_html_())
    assert set(page.tags) == {"div", "span"}
    assert {name for name, _ in page.attributes} == {"style", "title"}
    assert page.text.count(attack) == 2, "it is shown as it was written: once in the title, once as a word"


@pytest.mark.parametrize("attack", ATTACKS)
def test_nor_can_it_on_the_way_through_a_tokenizer(attack):
    _, tokenizer = models.load("minilm")
    reading = attribution.read(tokenizer, f"the soup {attack} was cold")
    page = Page(Highlighted(reading.words, range(len(reading.words)))._repr_html_())
    assert set(page.tags) == {"div", "span"} and page.tags.count("span") == len(reading.words)
    assert " ".join(page.text.split()) == f"the soup {attack} was cold"


def test_scores_are_in_the_tooltips_and_in_the_plain_text():
    shown = Highlighted(["good", "bad", "the"], [2.0, -1.0, 0.0], title="nats")
    page = Page(shown._repr_html_())
    assert [value for name, value in page.attributes if name == "title"] == ["+2.00", "-1.00", "+0.00"]
    assert repr(shown) == "nats: good(+2.0) bad(-1.0) the(+0.0)"
    styles = [value for name, value in page.attributes if name == "style"][-3:]
    assert "solid rgb" in styles[0] and "dotted rgb" in styles[1] and "transparent" in styles[2]


def test_nothing_at_all_and_nothing_but_zeros():
    assert Page(Highlighted([], [])._repr_html_()).tags == ["div"]
    assert "0.00" in Highlighted(["a"], [0.0])._repr_html_()


@pytest.mark.parametrize(("words", "scores"), [(["a"], [1.0, 2.0]), (["a"], [float("nan")])])
def test_unfit_scores_are_refused(words, scores):
    with pytest.raises(ValueError, match="finite score"):
        Highlighted(words, scores)
