"""Which evidence a log without certain fields cannot give."""

from schemas.missing import unavailable

CONTENT = {"group.shared_list", "coverage", "diversity"}
TEXT = {"systematicity.templates", "elicitation"}


def test_prompts_without_embeddings_miss_nothing() -> None:
    assert unavailable(["prompt_embedding"]) == []


def test_embeddings_without_prompts_miss_what_reads_text() -> None:
    found = set(unavailable(["prompt"]))
    assert found >= TEXT
    assert not found & CONTENT


def test_neither_misses_both_and_names_each_once() -> None:
    found = unavailable(["prompt", "response", "prompt_embedding"])
    assert set(found) >= CONTENT | TEXT | {"elicitation.output_as_input"}
    assert len(found) == len(set(found))
