"""Any folder with harvest/*.parquet and ordinary/*.parquet serves; what does not is said in one sentence."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipelines.errors import UsageError
from pipelines.simulate.corpora import CorpusPrompts


def test_every_prompt_of_the_folder_can_be_asked(corpus: CorpusPrompts, own_corpora: Path) -> None:
    every = {
        text
        for path in own_corpora.glob("*/*.parquet")
        for text in pl.read_parquet(path, columns=["prompt"])["prompt"].to_list()
    }
    rng = np.random.default_rng(1)
    themes = np.repeat(np.arange(len(corpus.theme_size)), corpus.theme_size)
    codes = corpus.draw(themes, np.zeros(len(themes), dtype=np.int64), rng)
    assert {corpus.text(code) for code in codes.tolist()} == every
    assert len(np.unique(codes)) == len(codes)  # nothing returns before everything was dealt


def test_the_next_turn_of_a_recorded_conversation_follows(corpus: CorpusPrompts, own_corpora: Path) -> None:
    talk = pl.read_parquet(own_corpora / "ordinary" / "talk.parquet")
    first, second = talk["prompt"][0], talk["prompt"][1]
    rng = np.random.default_rng(2)
    codes = {
        corpus.text(code): code for code in corpus.curated(np.ones(len(corpus.topics)), 10_000, rng).tolist()
    }
    following = corpus.follow(np.array([codes[first]]), np.array([0]), rng)
    assert corpus.text(int(following[0])) == second


def test_where_a_conversation_ends_a_phrase_follows(corpus: CorpusPrompts) -> None:
    rng = np.random.default_rng(3)
    codes = corpus.curated(np.ones(len(corpus.topics)), 3_000, rng)
    after = corpus.follow(codes, np.arange(3_000), rng)
    assert (corpus.topic_of(after) == -1).sum() > 1_000
    assert all(corpus.text(code) for code in after.tolist())


def test_a_curated_list_never_holds_one_text_twice(tmp_path: Path) -> None:
    for family in ("harvest", "ordinary"):
        (tmp_path / family).mkdir()
        texts = [f"question number {i % 400} about {family}" for i in range(800)]
        texts += [text.upper() for text in texts[:100]]
        pl.DataFrame({"prompt": texts}).write_parquet(tmp_path / family / "a.parquet")
    corpus = CorpusPrompts(tmp_path)
    codes = corpus.curated(np.ones(len(corpus.topics)), 5_000, np.random.default_rng(1))
    texts = [corpus.text(code).lower() for code in codes.tolist()]
    assert len(texts) == len(set(texts)) == 800


def test_a_large_file_is_split_by_its_topics(tmp_path: Path) -> None:
    (tmp_path / "ordinary").mkdir()
    pl.DataFrame(
        {
            "prompt": [f"what about case {i}?" for i in range(900)],
            "topic": [f"t{i % 3}" for i in range(900)],
        }
    ).write_parquet(tmp_path / "ordinary" / "only.parquet")
    names = [topic.name for topic in CorpusPrompts(tmp_path).topics]
    assert names == ["ordinary/only/t0", "ordinary/only/t1", "ordinary/only/t2"]


def test_real_corpora_load_and_both_families_are_there(real_corpora: Path) -> None:
    corpus = CorpusPrompts(real_corpora)
    assert {topic.family for topic in corpus.topics} == {"harvest", "ordinary"}
    assert len(corpus.theme_size) > 10 * len(corpus.topics)
    assert len(corpus.system_prompts) > 100


def test_a_folder_without_families_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no harvest/\*\.parquet"):
        CorpusPrompts(tmp_path)


def test_a_file_without_prompts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "harvest").mkdir()
    pl.DataFrame({"text": ["a"]}).write_parquet(tmp_path / "harvest" / "bad.parquet")
    with pytest.raises(UsageError, match="has no column 'prompt'"):
        CorpusPrompts(tmp_path)


def test_too_few_prompts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "harvest").mkdir()
    pl.DataFrame({"prompt": ["a question", "another"]}).write_parquet(tmp_path / "harvest" / "few.parquet")
    with pytest.raises(UsageError, match="holds 2 prompts"):
        CorpusPrompts(tmp_path)
