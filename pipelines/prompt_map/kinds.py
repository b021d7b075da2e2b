"""What a prompt map is of: the text of prompts, or embeddings that the log brings (CONTRACT section 1)."""

from typing import Literal

Kind = Literal["prompt", "embedding"]


def first_kind(prompts: int, embeddings: int) -> Kind | Literal[""]:
    """What a lake's first map is fitted to, by how many requests carry which; "" when none carries either.

    Embeddings are used instead of the text when present, and where fewer requests have one than have text, most
    requests would go without a cell.
    """
    if embeddings and embeddings >= prompts:
        return "embedding"
    return "prompt" if prompts else ""
