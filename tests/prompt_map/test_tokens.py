"""Tokens against a plain tokenizer."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.naive import token_hash, tokens_of
from pipelines.prompt_map.tokens import LETTERS, Tokens, hashes, tokenize

_texts = (
    st.text(st.characters(codec="utf-8"), max_size=80)
    | st.text("aB9é <>/ßİ中あ한😀\u0301.\n", max_size=60)
    # Longer than the 64 bytes that are looked at together, and runs of letters longer than that.
    | st.lists(st.sampled_from(["word", "x" * 63, "A" * 130, " ", "</", "é", "中"]), max_size=60).map("".join)
)


@settings(max_examples=300)
@given(_texts)
def test_as_the_plain_tokenizer(text: str) -> None:
    # Beside another one, which has tokens of every kind.
    texts = [text.encode(), "éa <b> 中".encode(), text.encode()]
    sizes = np.array([len(each) for each in texts])
    data = np.frombuffer(b"".join(texts) + bytes(64), dtype=np.uint8)
    held = Tokens.new(4096, len(texts))
    tokenize(data, np.cumsum(sizes) - sizes, sizes, LETTERS, held)
    tokens, tags = tokens_of(text)
    for place in (0, 2):
        found = slice(held.firsts[place], held.firsts[place] + held.counts[place])
        assert held.hashes[found].tolist() == [token_hash(token) for token in tokens]
        assert held.angled[found].astype(bool).tolist() == tags


def test_examples() -> None:
    assert tokens_of("Don't STOP, naïve Straße-2")[0] == ["don", "t", "stop", "naïve", "straße", "2"]
    assert tokens_of("逐步 思考")[0] == ["逐", "步", "思", "考"]
    assert tokens_of("<think>x</think> a<b") == (
        ["think", "x", "think", "a", "b"],
        [True, False, True, False, True],
    )


def test_at_most_so_many_tokens() -> None:
    assert len(hashes("a " * 5000)) == 4096
    assert len(hashes("中" * 5000)) == 4096
    assert hashes("« a1 é" * 5000).tolist() == [token_hash("a1"), token_hash("é")] * 2048
