"""Prompts of a corpora folder: `harvest/*.parquet` and `ordinary/*.parquet`, read and never copied.

Any folder of that shape will do: the only column that must be there is `prompt`; `topic`, `turn`,
`conversation` and `system` are used where a file has them. A file is a topic (a file that makes up most of
its family is split by its `topic` column); inside it, a theme is a value of `topic`, or a word that a good
many of its prompts share (people ask about *their* printer, *their* database).
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.errors import UsageError
from pipelines.simulate.prompts import BASE_MASK, STYLE_SHIFT, Family, Shelf, Topic, dress
from pipelines.simulate.randomness import stream

MAX_PROMPT_BYTES = 200_000
"""Longer prompts would be rejected by the request record's own limit."""
MIN_THEME = 12
_FOLLOW_UPS = (
    "Can you explain that a bit more?", "why?", "Shorter please.", "Give me an example.",
    "and in simple words?",
    "That did not work, what else can I try?", "Are you sure about that?", "Now write it as a list.",
    "Go on.",
    "What would you recommend?", "Rewrite it more politely.", "What are the risks?",
    "Can you double check this?",
    "Translate that to Spanish.", "Put it in a table.", "ok and what comes next?", "How long will it take?",
    "Is there a cheaper way?", "Please fix the mistakes.", "Could you say that in two sentences?",
)  # fmt: skip


def _read_family(folder: Path, family: Family) -> list[pl.DataFrame]:
    frames = []
    for path in sorted(folder.glob("*.parquet")):
        frame = pl.read_parquet(path)
        if "prompt" not in frame.columns:
            raise UsageError(
                f"The corpus file {path} has no column 'prompt' (it has {', '.join(frame.columns)}); "
                "rename its text column or move the file out of the folder."
            )
        columns = {"topic": pl.String, "turn": pl.Int32, "conversation": pl.String, "system": pl.String}
        frame = frame.select(
            pl.col("prompt").cast(pl.String),
            *(
                pl.col(name).cast(dtype, strict=False)
                if name in frame.columns
                else pl.lit(None, dtype=dtype).alias(name)
                for name, dtype in columns.items()
            ),
        ).filter(pl.col("prompt").str.strip_chars().str.len_bytes().is_between(1, MAX_PROMPT_BYTES))
        frames.append(
            frame.with_columns(
                family=pl.lit(family), file=pl.lit(path.stem), topic=pl.col("topic").fill_null("")
            )
        )
    return frames


def _split_large_files(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `subject` (the topic) : the file, or file and topic for a file that is most of its family."""
    share = pl.len().over("family", "file") / pl.len().over("family")
    frequent = pl.len().over("family", "file", "topic") >= 100
    return frame.with_columns(
        subject=pl.when(share > 0.5)
        .then(pl.col("file") + "/" + pl.when(frequent).then(pl.col("topic")).otherwise(pl.lit("")))
        .otherwise(pl.col("file"))
    )


def _themes(frame: pl.DataFrame) -> pl.Series:
    """One theme number per row: its topic value, and inside it a word that many prompts share."""
    group = ["family", "subject", "topic"]
    base = frame.select(
        *group, "row", size=pl.len().over(group), text=pl.col("prompt").str.slice(0, 400).str.to_lowercase()
    )
    words = (
        base.filter(pl.col("size") >= 8 * MIN_THEME)
        .with_columns(word=pl.col("text").str.extract_all(r"[a-z]{4,}|[\p{Han}\p{Hiragana}\p{Katakana}]{2}"))
        .explode("word")
        .drop_nulls("word")
        .select(*group, "row", "size", "word")
        .unique(["row", "word"])
        .with_columns(df=pl.len().over(*group, "word"))
        .filter(pl.col("df") >= MIN_THEME, pl.col("df") <= pl.col("size") * 0.08)
    )
    anchors = words.sort("row", "df", "word", descending=[False, True, False]).unique(
        "row", keep="first", maintain_order=True
    )
    named = (
        base.join(anchors.select("row", "word"), on="row", how="left")
        .with_columns(pl.col("word").fill_null(""))
        .with_columns(
            word=pl.when(pl.len().over(*group, "word") >= MIN_THEME).then("word").otherwise(pl.lit(""))
        )
    )
    # A topic value with a handful of prompts is no theme of its own: those of one subject are put together.
    named = named.with_columns(
        topic=pl.when(pl.len().over(*group) >= MIN_THEME).then("topic").otherwise(pl.lit("\x00few"))
    )
    return (
        named.sort("row")
        .select(
            pl.concat_str("family", "subject", "topic", "word", separator="\x1f").rank("dense").cast(pl.Int32)
            - 1
        )
        .to_series()
    )


def _topic_figures(frame: pl.DataFrame) -> pl.DataFrame:
    opening = pl.col("prompt").str.extract(r"^(\S+\s+\S+\s+\S+\s+\S+)").fill_null("")
    code = pl.col("prompt").str.contains(
        r"def |class |import |function|\(\)|```|;\s*$|</|\berror:|sudo |[a-z]_[a-z]+\("
    )
    return (
        frame.with_columns(opening=opening)
        .with_columns(
            same=(pl.len().over("family", "subject", "opening") / pl.len().over("family", "subject")).cast(
                pl.Float64
            )
            * (pl.col("opening") != "")
        )
        .group_by("family", "subject")
        .agg(templated=(pl.col("same") > 0.02).mean(), code=code.mean())
        .sort("family", "subject")
    )


class CorpusPrompts:
    """The prompts of a corpora folder as a prompt source (see `prompts.PromptSource`)."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        frames = [part for family in get_args(Family) for part in _read_family(folder / family, family)]
        if not frames:
            raise UsageError(
                f"The corpora folder {folder} has no harvest/*.parquet and no ordinary/*.parquet; "
                "give a folder of that shape, or leave --corpora out to use the built-in prompts."
            )
        frame = _split_large_files(pl.concat(frames)).with_row_index("row")
        if frame.height < 500:
            raise UsageError(
                f"The corpora folder {folder} holds {frame.height} prompts, too few for a world; "
                "add some hundreds."
            )
        figures = _topic_figures(frame)
        self.topics = [
            Topic(f"{row['family']}/{row['subject']}", row["family"], row["templated"], row["code"])
            for row in figures.to_dicts()
        ]
        keys = {topic.name: index for index, topic in enumerate(self.topics)}
        names = frame.select(pl.concat_str("family", "subject", separator="/")).to_series()
        self._row_topic = names.replace_strict(keys, return_dtype=pl.Int32).to_numpy()
        theme = _themes(frame).to_numpy()
        self._texts: list[str] = frame["prompt"].to_list()
        self._load_order(theme, seed)
        self._load_conversations(frame)
        self._load_distinct(frame)
        self.system_prompts = self._systems(folder, frame)

    def _load_order(self, theme: npt.NDArray[np.int32], seed: int) -> None:
        rng = stream(seed, "shelf")
        shuffled = rng.permutation(len(theme)).astype(np.int64)
        order = shuffled[np.argsort(theme[shuffled], kind="stable")]
        self.theme_size = np.bincount(theme).astype(np.int64)
        start = np.cumsum(self.theme_size) - self.theme_size
        self.theme_topic = self._row_topic[order[start]].astype(np.int32)
        self._shelf = Shelf(order, start, self.theme_size)

    def _load_conversations(self, frame: pl.DataFrame) -> None:
        """The next turn of the same recorded conversation, NONE where there is none."""
        talk = frame.filter(pl.col("conversation").is_not_null() & (pl.col("conversation") != ""))
        talk = talk.sort("family", "file", "conversation", "turn", "row", nulls_last=True).with_columns(
            following=pl.col("row").shift(-1).over("family", "file", "conversation")
        )
        self._next = np.full(frame.height, -1, dtype=np.int64)
        talk = talk.drop_nulls("following")
        self._next[talk["row"].to_numpy()] = talk["following"].to_numpy()

    def _load_distinct(self, frame: pl.DataFrame) -> None:
        """Rows that a curated list may hold: one of each text, long enough to be worth an answer."""
        listed = (
            frame.with_columns(key=pl.col("prompt").str.to_lowercase().str.strip_chars())
            .filter(
                pl.col("key").str.len_bytes()
                >= pl.when(pl.col("turn").fill_null(0) == 0).then(pl.lit(12)).otherwise(pl.lit(30))
            )
            .unique("key", keep="first", maintain_order=True)
        )
        self._listed = listed["row"].to_numpy().astype(np.int64)

    @staticmethod
    def _systems(folder: Path, frame: pl.DataFrame) -> list[str]:
        systems = frame["system"].drop_nulls().unique(maintain_order=True).to_list()[:400]
        path = folder / "system_prompts.parquet"
        if path.is_file():
            table = pl.read_parquet(path)
            if "system" in table.columns:
                systems = table["system"].drop_nulls().to_list() + systems
        return [text[:600] for text in systems if text.strip()]

    def draw(
        self, themes: npt.NDArray[np.integer], persons: npt.NDArray[np.integer], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        return self._shelf.deal(themes)

    def curated(
        self, topic_weights: npt.NDArray[np.floating], count: int, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        # Weighted sampling without replacement (Efraimidis & Spirakis 2006): the `count` largest u^(1/w).
        topic = self._row_topic[self._listed]
        weight = topic_weights[topic] / np.maximum(np.bincount(topic, minlength=len(self.topics)), 1)[topic]
        keys = np.log(rng.random(len(self._listed))) / np.maximum(weight, 1e-300)
        keys[weight <= 0] = -np.inf
        order = np.argsort(-keys, kind="stable")[:count]
        chosen = self._listed[order[np.isfinite(keys[order])]]
        return np.asarray(rng.permutation(chosen))

    def follow(
        self, codes: npt.NDArray[np.int64], persons: npt.NDArray[np.integer], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        bases = codes & BASE_MASK
        rows = np.where(bases < len(self._texts), bases, 0)
        following = np.where(bases < len(self._texts), self._next[rows], -1)
        stock = len(self._texts) + rng.integers(0, len(_FOLLOW_UPS), len(codes))
        return np.asarray(np.where(following >= 0, following, stock))

    def text(self, code: int) -> str:
        base, style = code & int(BASE_MASK), code >> STYLE_SHIFT
        text = self._texts[base] if base < len(self._texts) else _FOLLOW_UPS[base - len(self._texts)]
        return dress(text, style) if style else text

    def topic_of(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        bases = codes & BASE_MASK
        known = bases < len(self._texts)
        return np.asarray(np.where(known, self._row_topic[np.where(known, bases, 0)], -1))
