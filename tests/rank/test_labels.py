"""Labels: command, CSV and inbox in; what a ranking makes of them; the trail."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from pipelines.cli.app import run as scarecrow
from pipelines.mart import labels
from pipelines.mart.inbox import inbox_file, make_inbox, take_inbox
from pipelines.mart.labels import Verdict, read_labels
from pipelines.mart.open import open_mart
from pipelines.rank.run import run
from tests.rank.world import content, ranking, small_world

LATER = 4_102_444_800_000
"""2100-01-01"""


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "mart.duckdb"
    run(ranking(small_world()[1], path))
    return path


@pytest.fixture
def mart(ranked: Path, tmp_path: Path) -> Path:
    path = tmp_path / "mart.duckdb"
    path.write_bytes(ranked.read_bytes())
    return path


def rows(mart: Path, sql: str, *parameters: object) -> list[tuple[object, ...]]:
    with open_mart(str(mart)) as opened:
        return opened.rows(sql, *parameters)


def first(mart: Path, kind: str = "account") -> str:
    return str(rows(mart, f"SELECT {kind}_id FROM suspect_{kind}s ORDER BY rank LIMIT 1")[0][0])


def verdict(
    subject: str, said: str, until_ms: int | None = None, kind: str = "account", at_ms: int = 1
) -> Verdict:
    return Verdict(kind, subject, said, "ana", "because", at_ms, until_ms)


def test_a_false_positive_goes_down_and_its_evidence_stays(mart: Path) -> None:
    subject = first(mart)
    before = rows(mart, "SELECT score FROM suspect_accounts WHERE account_id = $1", subject)
    reasons = rows(mart, "SELECT count(*) FROM account_reasons WHERE id = $1", subject)
    labels.append(mart, [verdict(subject, "false_positive", LATER)])
    run(ranking(small_world()[1], mart))
    rank, score, label, state = rows(
        mart, "SELECT rank, score, label, state FROM suspect_accounts WHERE account_id = $1", subject
    )[0]
    last = rows(mart, "SELECT max(rank) FROM suspect_accounts")[0][0]
    assert (rank, label, state) == (last, "false_positive", "suppressed")
    assert [(score,)] == before
    assert rows(mart, "SELECT count(*) FROM account_reasons WHERE id = $1", subject) == reasons
    trail = rows(
        mart,
        "SELECT event, before, after, author FROM audit_log WHERE subject_id = $1 ORDER BY event, changed_at",
        subject,
    )
    assert ("label", None, "false_positive", "ana") in trail
    assert [(b, a) for event, b, a, _ in trail if event == "state"][-1][1] == "suppressed"


def test_it_comes_back_after_its_date(mart: Path) -> None:
    subject = first(mart)
    newest = int(str(rows(mart, "SELECT epoch_ms(max(as_of)) FROM runs")[0][0]))
    labels.append(mart, [verdict(subject, "false_positive", newest)])
    run(ranking(small_world()[1], mart))
    assert first(mart) == subject
    labels.append(mart, [verdict(subject, "false_positive", newest + 1, at_ms=2)])
    run(ranking(small_world()[1], mart))
    assert first(mart) != subject
    assert rows(mart, "SELECT count(*) FROM labels") == [(2,)]


@pytest.mark.parametrize("said", ["true_positive", "suspicious", "insufficient_data"])
def test_other_verdicts_do_not_move_it(mart: Path, said: str) -> None:
    subject = first(mart)
    labels.append(mart, [verdict(subject, said)])
    run(ranking(small_world()[1], mart))
    assert rows(mart, "SELECT account_id, label FROM suspect_accounts WHERE rank = 1") == [(subject, said)]


def test_a_campaign_takes_its_members_down_but_those_with_a_verdict_of_their_own(mart: Path) -> None:
    campaign = first(mart, "campaign")
    members = [
        str(m)
        for (m,) in rows(mart, "SELECT account_id FROM campaign_members WHERE campaign_id = $1", campaign)
    ]
    labels.append(
        mart, [verdict(campaign, "benign", kind="campaign"), verdict(members[0], "true_positive")]
    )  # fmt: skip
    run(ranking(small_world()[1], mart))
    states = dict(
        rows(
            mart,
            "SELECT account_id, state FROM suspect_accounts WHERE list_contains($1, account_id)",
            members,
        )
    )
    assert states.pop(members[0]) != "suppressed"
    assert set(states.values()) == {"suppressed"}
    assert rows(mart, "SELECT state FROM suspect_campaigns WHERE campaign_id = $1", campaign) == [
        ("suppressed",)
    ]


def test_the_newest_verdict_counts_in_whatever_order_they_came(mart: Path) -> None:
    subject = first(mart)
    labels.append(mart, [verdict(subject, "true_positive", at_ms=5), verdict(subject, "benign", at_ms=3)])
    run(ranking(small_world()[1], mart))
    assert rows(mart, "SELECT label FROM suspect_accounts WHERE account_id = $1", subject) == [
        ("true_positive",)
    ]


def insert(mart: Path, subject: str, said: str = "benign") -> None:
    with duckdb.connect() as connection:
        connection.execute("ATTACH ? AS inbox", [str(inbox_file(mart))])
        connection.execute(
            "INSERT INTO inbox.labels (subject_kind, subject_id, verdict, author, reason) "
            "VALUES ('account', ?, ?, 'bo', 'x')",
            [subject, said],
        )


def test_rows_of_the_inbox_are_taken_once(mart: Path) -> None:
    subject = first(mart)
    make_inbox(mart)
    insert(mart, subject)
    insert(mart, "acct-unknown-yet")
    run(ranking(small_world()[1], mart))
    taken = read_labels(mart)
    assert [(v.subject_id, v.verdict, v.author) for v in taken] == [
        (subject, "benign", "bo"), ("acct-unknown-yet", "benign", "bo"),
    ]  # fmt: skip
    assert all(abs(v.at_ms - time.time() * 1000) < 600_000 for v in taken)
    assert take_inbox(mart).labels == 0
    assert rows(mart, "SELECT state FROM suspect_accounts WHERE account_id = $1", subject) == [
        ("suppressed",)
    ]


def test_a_kill_between_taking_and_emptying_takes_nothing_twice(
    mart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_inbox(mart)
    insert(mart, "acct-1")
    before = inbox_file(mart).read_bytes()
    assert take_inbox(mart).labels == 1
    inbox_file(mart).write_bytes(before)  # as if the process had died before the rows were deleted
    assert take_inbox(mart).labels == 0
    assert len(read_labels(mart)) == 1


def test_a_look_into_an_empty_inbox_leaves_it_as_it_was(mart: Path) -> None:
    """Its time of change tells schedules that somebody has labelled: a look must not ask for another ranking."""
    make_inbox(mart)
    os.utime(inbox_file(mart), (1_700_000_000, 1_700_000_000))
    assert take_inbox(mart).labels == 0
    assert inbox_file(mart).stat().st_mtime == 1_700_000_000
    inbox_file(mart).unlink()
    duckdb.connect(str(inbox_file(mart))).close()  # whoever made it was killed before its table
    assert take_inbox(mart).labels == 0
    insert(mart, "acct-1")
    assert take_inbox(mart).labels == 1


@pytest.mark.parametrize(
    "values",
    [
        ("account", "a", "guilty", "bo", "x"), ("person", "a", "benign", "bo", "x"),
        ("account", "", "benign", "bo", "x"), ("account", "a", "benign", "", "x"),
        ("account", "a", "benign", "bo", None),
    ],
)  # fmt: skip
def test_the_inbox_refuses_what_makes_no_sense(mart: Path, values: tuple[str | None, ...]) -> None:
    make_inbox(mart)
    with duckdb.connect(str(inbox_file(mart))) as connection, pytest.raises(duckdb.ConstraintException):
        connection.execute(
            "INSERT INTO labels (subject_kind, subject_id, verdict, author, reason) VALUES (?, ?, ?, ?, ?)",
            list(values),
        )


def test_an_inbox_that_an_analyst_holds_waits(mart: Path) -> None:
    make_inbox(mart)
    insert(mart, "acct-1")
    hold = f"import duckdb; c = duckdb.connect({str(inbox_file(mart))!r}); print('in', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "in\n"
        taken = take_inbox(mart)
        assert (taken.labels, taken.is_busy) == (0, True)
    finally:
        holder.communicate("\n")
    assert take_inbox(mart).labels == 1


def test_the_command_and_its_mistakes(mart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subject = first(mart)
    given = ["--by", "ana", "--reason", "class", "--mart", str(mart)]
    assert scarecrow(["label", subject, "false_positive", *given, "--until", "2100-01-01"]) == 0
    assert read_labels(mart) == [
        replace(verdict(subject, "false_positive", LATER), reason="class", at_ms=read_labels(mart)[0].at_ms)
    ]
    for arguments, said in (
        ([subject, "guilty", *given], "verdict guilty is unknown; choose one of false_positive"),
        ([subject, "benign", *given, "--until", "2020-01-01"], "is over already"),
        (["acct-nobody", "benign", *given], "has no account or campaign acct-nobody"),
        ([subject, "benign", "--mart", str(mart)], "needs ID, VERDICT, --by and --reason"),
        (
            [subject, "benign", "--by", " ", "--reason", "x", "--mart", str(mart)],
            "needs an author and a reason",
        ),
    ):
        assert scarecrow(["label", *arguments]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
    assert len(read_labels(mart)) == 1


def test_a_csv_is_taken_whole_or_not_at_all(
    mart: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (str(r[0]) for r in rows(mart, "SELECT account_id FROM suspect_accounts ORDER BY rank LIMIT 2"))
    file = tmp_path / "labels.csv"
    file.write_text(f"id,verdict,by,reason,until\n{a},benign,ana,x,2100-01-01\n{b},guilty,ana,x,\n")
    assert scarecrow(["label", "--csv", str(file), "--mart", str(mart)]) == 2
    assert "labels.csv:3: verdict guilty is unknown" in capsys.readouterr().err
    assert read_labels(mart) == []
    file.write_text(f"\ufeffid,verdict,by,reason,until\n{a},benign,ana,x,2100-01-01\n{b},suspicious,ana,x,\n")
    assert scarecrow(["label", "--csv", str(file), "--mart", str(mart)]) == 0
    assert [(v.subject_id, v.verdict, v.until_ms) for v in read_labels(mart)] == [
        (a, "benign", LATER), (b, "suspicious", None),
    ]  # fmt: skip
    assert content(mart)["labels"] == []
