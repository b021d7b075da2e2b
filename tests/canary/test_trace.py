"""Canaries: the right accounts and no others, no text at rest, and p-values that mean what they say."""

import json
import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.canary.registry import Answer, Given, read, read_given, register
from pipelines.canary.sketch import shingle_hashes
from pipelines.canary.suspect import suspect_shingles
from pipelines.canary.trace import MIN_CONTROLS, trace_accounts, trace_answers
from pipelines.cli.app import run
from pipelines.errors import ScarecrowError, UsageError
from pipelines.ingest.texts import measure_responses, text_keys
from pipelines.prompt_map.tokens import hashes as token_hashes
from tests.cli.test_findings import dangerous
from tests.hostile import HOSTILE

KEY = b"0123456789abcdef"
WORDS = (
    *("river", "stone", "lamp", "garden", "seven", "quiet", "north"),
    *("paper", "glass", "winter", "copper", "field", "bridge", "salt"),
)

# kafka-python reads its own files through a deprecated function when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")


def sentence(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(WORDS) + draw.choice(["", "s", "ly", "ing"]) for _ in range(words))


def variants(draw: random.Random, accounts: int, questions: int) -> dict[tuple[int, int], str]:
    """One answer per question with a common beginning and an end of the account's own."""
    common = [sentence(draw, 40) for _ in range(questions)]
    return {(a, q): f"{common[q]}. {sentence(draw, 30)}." for a in range(accounts) for q in range(questions)}


@given(st.text(max_size=400))
def test_a_sketch_is_what_an_oracle_says(text: str) -> None:
    tokens = [int(t) for t in token_hashes(text)]
    windows = {tuple(tokens[i : i + 8]) for i in range(len(tokens) - 7)}
    found = shingle_hashes(text, KEY)
    assert len(found) == len(windows)
    assert (np.diff(found) > 0).all()
    assert (found >= 0).all()


def test_what_the_lake_samples_of_an_answer_is_in_its_sketch() -> None:
    text = sentence(random.Random(1), 3000)
    data = np.frombuffer(text.encode() + b"\0\0\0\0", dtype=np.uint8)
    one = np.zeros(1, dtype=np.int64)
    _, sampled = measure_responses(
        data, one, np.array([len(data) - 4], np.int32), np.ones(1, np.uint8), one, text_keys(KEY)
    )
    count = measure_responses(
        data, one, np.array([len(data) - 4], np.int32), np.ones(1, np.uint8), one, text_keys(KEY)
    )[0][-1]
    assert count > 20
    assert set(sampled[:count].tolist()) <= set(shingle_hashes(text, KEY).tolist())


def test_another_key_gives_other_hashes() -> None:
    text = sentence(random.Random(1), 50)
    assert not set(shingle_hashes(text, KEY)) & set(shingle_hashes(text, KEY[::-1]))


def registry(
    path: Path, draw: random.Random, accounts: int = 40, questions: int = 6
) -> dict[tuple[int, int], str]:
    texts = variants(draw, accounts + 1, questions)
    known = [Given(f"a{a}" if a < accounts else None, text) for (a, _), text in texts.items()]
    controls = [Given(None, text) for text in variants(draw, 1, MIN_CONTROLS).values()]
    register(path, [*known, *controls], KEY, 0)
    return texts


@pytest.mark.parametrize("form", ["jsonl", "txt"])
def test_the_accounts_that_leaked_and_no_others(form: str, tmp_path: Path) -> None:
    draw = random.Random(2)
    texts = registry(tmp_path / "c.sqlite", draw)
    leaked = {3, 17}
    lines = [texts[a, q] for a in leaked for q in range(6)] + [sentence(draw, 60) for _ in range(500)]
    # What all variants of an answer share is in the data set too, from an account that was given no canary.
    lines += [text.split(". ")[0] for (a, _), text in texts.items() if a == 5]
    draw.shuffle(lines)
    file = tmp_path / f"suspect.{form}"
    file.write_text(
        "\n".join(json.dumps({"messages": [{"content": x}]}) for x in lines)
        if form == "jsonl"
        else "\n\n".join(lines)
    )
    found = trace_answers(read(tmp_path / "c.sqlite", KEY), suspect_shingles(file, KEY))
    assert {m.account_id: m.found for m in found.matches} == {"a3": 6, "a17": 6}
    assert all(m.p_value < 1e-6 for m in found.matches)
    assert (found.accounts, found.controls_found) == (40, 0)
    assert found.collision_p < 1e-9


def test_edited_answers_are_found(tmp_path: Path) -> None:
    draw = random.Random(3)
    texts = registry(tmp_path / "c.sqlite", draw)
    edited = []
    for q in range(6):
        words = texts[7, q].split()
        for _ in range(3):  # three words changed in the account's own thirty
            words[draw.randrange(42, len(words))] = "CHANGED"
        edited.append(" ".join(words).upper())
    file = tmp_path / "suspect.txt"
    file.write_text("\n\n".join(edited))
    found = trace_answers(read(tmp_path / "c.sqlite", KEY), suspect_shingles(file, KEY))
    assert [m.account_id for m in found.matches] == ["a7"]
    assert found.matches[0].found >= 3


def test_p_values_hold_when_nobody_leaked() -> None:
    """Units are found by accident at one rate: p under 0.05 (over all accounts) in at most 5 % of the worlds."""
    draw = np.random.default_rng(4)
    alarms = 0
    worlds = 300
    for _ in range(worlds):
        received = [np.unique(draw.integers(0, 2**62, 40)) for _ in range(30)]
        accident = [r[draw.random(len(r)) < 0.08] for r in received]
        found = trace_accounts([str(i) for i in range(30)], received, accident)
        alarms += any(m.p_value < 0.05 for m in found.matches)
    assert alarms / worlds <= 0.05 + 3 * (0.05 * 0.95 / worlds) ** 0.5


def test_controls_that_are_found_weaken_a_match() -> None:
    draw = np.random.default_rng(5)

    def answers(owner: str | None, count: int) -> list[Answer]:
        return [Answer(owner, np.unique(draw.integers(0, 2**62, 20))) for _ in range(count)]

    def surest(suspect: Iterable[Answer], everything: list[Answer]) -> float:
        return trace_answers(everything, [a.shingles for a in suspect]).matches[0].p_value

    mine, others, controls = answers("a", 5), answers("b", 50), answers(None, 40)
    everything = [*mine, *others, *controls]
    clean = surest(mine[:3], everything)
    weakened = surest([*mine[:3], *controls[:20]], everything)
    assert clean < 1e-3 < 0.5 < weakened


def test_no_text_is_at_rest_and_repeats_count_once(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    texts = [
        Given("a", "the hidden sentence that only one account was ever given by us"),
        Given(None, "short"),
    ]
    assert register(path, texts, KEY, 0).answers == 1
    again = register(path, texts, KEY, 1)
    assert (again.answers, again.known, again.short) == (0, 1, 1)
    assert b"hidden" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(ScarecrowError, match="another secret"):
        read(path, KEY[::-1])


@settings(max_examples=30)
@given(st.binary(max_size=300))
def test_any_bytes_can_be_suspect(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("suspect")
    for name in ("a.jsonl", "a.txt"):
        (folder / name).write_bytes(data)
        for piece in suspect_shingles(folder / name, KEY):
            assert len(piece)


@pytest.mark.parametrize(
    "line", ['{"text": "x"}', '{"account_id": 1, "text": "x"}', "SECRET", '{"account_id": "a"}']
)
def test_a_line_that_is_no_canary(line: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text('{"account_id": null, "text": "x"}\n' + line + "\n")
    with pytest.raises(UsageError, match="f:2 ") as caught:
        list(read_given(tmp_path / "f"))
    assert "SECRET" not in str(caught.value)


def test_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCARECROW_PRIVACY__HASH_KEY", "a secret of the tests")
    draw = random.Random(6)
    given = [{"account_id": a, "text": sentence(draw, 50)} for a in HOSTILE for _ in range(3)]
    given += [{"account_id": None, "text": sentence(draw, 50)} for _ in range(30)]
    Path("given.jsonl").write_text("".join(json.dumps(g) + "\n" for g in given))
    Path("suspect.jsonl").write_text("".join(json.dumps({"o": g["text"]}) + "\n" for g in given[:-30]))
    assert run(["trace", "suspect.jsonl"]) == 2
    assert "scarecrow canary register" in capsys.readouterr().err
    Path("none.jsonl").write_text("")
    assert run(["canary", "register", "none.jsonl", "--canaries", "empty.sqlite"]) == 0
    assert run(["trace", "suspect.jsonl", "--canaries", "empty.sqlite"]) == 2  # "nobody" would be no answer
    assert "empty.sqlite holds no answers" in capsys.readouterr().err
    assert run(["canary", "register", "given.jsonl"]) == 0
    assert f"{3 * len(HOSTILE) + 30} answers registered" in capsys.readouterr().out
    assert run(["canary", "show"]) == 0
    assert f"{len(HOSTILE)} accounts, 30 controls" in capsys.readouterr().out
    assert run(["trace", "suspect.jsonl", "--top", "100"]) == 0
    out = capsys.readouterr().out
    assert dangerous(out) == set()
    assert f"{len(HOSTILE)} of {len(HOSTILE)} accounts with a match" in out
    assert run(["trace", "suspect.jsonl", "--json"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert {m["account_id"] for m in json.loads(out)["matches"]} == set(HOSTILE)
    assert run(["trace", "nothing.jsonl"]) == 2
    assert "cannot be read" in capsys.readouterr().err
