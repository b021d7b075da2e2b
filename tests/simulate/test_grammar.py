"""The built-in prompts: different codes are different texts, people have words of their own."""

import unicodedata

import numpy as np
import pytest

from pipelines.simulate.grammar import GrammarPrompts
from pipelines.simulate.prompts import STYLES, with_style


def test_hundreds_of_thousands_of_different_prompts(grammar: GrammarPrompts) -> None:
    codes = grammar.curated(np.ones(len(grammar.topics)), 200_000, np.random.default_rng(1))
    assert len(np.unique(codes)) == 200_000
    texts = {grammar.text(code) for code in codes.tolist()}
    assert len(texts) == 200_000
    assert all(texts)
    assert not any("{" in text for text in texts)


def test_several_languages_one_of_them_chinese_in_both_families(grammar: GrammarPrompts) -> None:
    codes = grammar.curated(np.ones(len(grammar.topics)), 5_000, np.random.default_rng(2))
    families = {"harvest": 0, "ordinary": 0}
    for code, topic in zip(codes.tolist(), grammar.topic_of(codes).tolist(), strict=True):
        if any(unicodedata.name(char, "").startswith("CJK") for char in grammar.text(code)):
            families[grammar.topics[topic].family] += 1
    assert min(families.values()) > 50
    assert {topic.family for topic in grammar.topics} == {"harvest", "ordinary"}
    assert len(grammar.topics) >= 20


def test_a_curated_list_keeps_to_its_topics(grammar: GrammarPrompts) -> None:
    weights = np.zeros(len(grammar.topics))
    weights[[2, 7]] = 0.8, 0.2
    codes = grammar.curated(weights, 1_000, np.random.default_rng(3))
    counts = np.bincount(grammar.topic_of(codes), minlength=len(weights))
    assert counts[[2, 7]].sum() == 1_000
    assert 0.72 < counts[2] / 1_000 < 0.88


def test_people_repeat_their_own_details_more_than_strangers_do(grammar: GrammarPrompts) -> None:
    rng = np.random.default_rng(4)
    themes = np.zeros(400, dtype=np.int64)
    one = grammar.draw(themes, np.full(400, 11), rng)
    many = grammar.draw(themes, np.arange(400), rng)
    assert len(np.unique(one)) < 0.9 * len(np.unique(many))


def test_a_follow_up_stays_in_the_trade_or_is_a_phrase(grammar: GrammarPrompts) -> None:
    rng = np.random.default_rng(5)
    codes = grammar.curated(np.ones(len(grammar.topics)), 500, rng)
    following = grammar.follow(codes, np.arange(500), rng)
    before, after = grammar.topic_of(codes), grammar.topic_of(following)
    bare = after == -1
    assert 0.3 < bare.mean() < 0.7
    assert (after[~bare] == before[~bare]).all()
    for code in following.tolist():
        assert grammar.text(code)


@pytest.mark.parametrize("style", [1, 2, 37, STYLES - 1])
def test_a_habit_is_around_the_same_text(grammar: GrammarPrompts, style: int) -> None:
    codes = grammar.curated(np.ones(len(grammar.topics)), 50, np.random.default_rng(6))
    for plain, styled in zip(codes.tolist(), with_style(codes, np.full(50, style)).tolist(), strict=True):
        assert grammar.text(plain).lower() in grammar.text(styled).lower()
        assert plain != styled
