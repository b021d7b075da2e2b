"""Phrases that elicit training material (METHOD section 5), as a table of token n-grams.

Categories follow `schemas.account_hour.ELICITATION`. The table is looked up by compiled code in `texts`.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.prompt_map.tokens import hashes

PHRASES: Final[dict[str, tuple[str, ...]]] = {
    "elicit_reasoning": (
        "step by step", "chain of thought", "show your reasoning", "explain your reasoning", "show your work",
        "show all your work", "show all steps", "reason through", "think aloud", "think out loud", "show each step",
        "let's think", "explain each step", "walk through your reasoning", "detailed reasoning", "before answering",
        "schritt für schritt", "étape par étape", "paso a paso", "passo a passo", "шаг за шагом", "krok po kroku",
        "逐步", "一步一步", "一步步", "思考过程", "推理过程", "段階的に", "順を追って", "단계별로", "단계적으로",
    ),
    "elicit_judging": (
        "which response is better", "which answer is better", "which of the two responses", "as a judge",
        "impartial judge", "on a scale of 1", "on a scale from 1", "score from 1 to", "rate the following",
        "rate each", "rubric", "pairwise", "grade the following", "evaluate the following response",
        "evaluate the quality", "assistant a", "assistant b", "response a", "response b", "better response",
        "preferred response", "bewerte die folgende", "évaluez la réponse", "evalúa la respuesta", "评分", "打分",
        "哪个回答更好", "採点",
    ),
    "elicit_generation": (
        "training data", "training examples", "synthetic data", "instruction input and output",
        "question and answer pairs", "question answer pairs", "diverse task instructions", "come up with 20",
        "task and its solution", "problem and its solution", "solution and tests", "with unit tests",
        "write test cases", "instruction following", "data set of", "dataset of", "jsonl", "trainingsdaten",
        "données d'entraînement", "datos de entrenamiento", "训练数据", "数据集", "学習データ", "학습 데이터",
    ),
    "elicit_cleaning": (
        "rewrite the following response", "improve the following response", "improve the following answer",
        "clean up the following", "remove any mention of", "as an ai language model", "refine the answer",
        "refine the following", "correct the following response", "rewrite this answer", "model output",
        "paraphrase the following", "润色", "改写以下", "書き直して",
    ),
}  # fmt: skip

TAGS: Final = ("think", "thinking", "thought", "reasoning", "rationale", "scratchpad", "solution", "answer")

CATEGORIES: Final = (
    "elicit_reasoning",
    "elicit_tags",
    "elicit_judging",
    "elicit_generation",
    "elicit_cleaning",
)
NGRAM_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
MAX_PHRASE: Final = 8
_SLOTS: Final = 1024


def ngram(tokens: NDArray[np.uint64]) -> int:
    """Polynomial hash of a run of tokens."""
    value = 0
    for token in tokens.tolist():
        value = (value * int(NGRAM_BASE) + token) & 0xFFFFFFFFFFFFFFFF
    return value


class Phrases(NamedTuple):
    """lengths: uint8[65536], bit n-1 is set when a phrase of n tokens ends in a token with these top 16 bits.
    keys, categories: open-addressing table of 1,024 slots, category -1 is free. tags: hashes of tag names."""

    lengths: NDArray[np.uint8]
    keys: NDArray[np.uint64]
    categories: NDArray[np.int8]
    tags: NDArray[np.uint64]


def phrase_tables() -> Phrases:
    """The phrases as the kernels look them up."""
    lengths = np.zeros(1 << 16, dtype=np.uint8)
    keys = np.zeros(_SLOTS, dtype=np.uint64)
    categories = np.full(_SLOTS, -1, dtype=np.int8)
    for category, phrases in PHRASES.items():
        for phrase in phrases:
            tokens = hashes(phrase)
            if not 1 <= len(tokens) <= MAX_PHRASE:
                raise ValueError(f"phrase of {len(tokens)} tokens: {phrase}")
            lengths[int(tokens[-1]) >> 48] |= np.uint8(1 << (len(tokens) - 1))
            value = ngram(tokens)
            slot = (value >> 20) % _SLOTS
            while categories[slot] >= 0 and int(keys[slot]) != value:
                slot = (slot + 1) % _SLOTS
            keys[slot] = value
            categories[slot] = CATEGORIES.index(category)
    tags = np.array([hashes(tag)[0] for tag in TAGS], dtype=np.uint64)
    return Phrases(lengths, keys, categories, tags)
