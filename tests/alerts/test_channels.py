"""Every channel against a real receiver, with ids and texts that attack whoever reads them."""

import html
import json
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pytest

from pipelines.alerts.channels.webhook import signature, signing_key
from pipelines.alerts.outbox import outbox_file
from pipelines.alerts.run import preview, send_alerts
from pipelines.cli.app import run
from pipelines.errors import UsageError
from pipelines.settings import Settings
from tests.alerts.killed import NOW_MS
from tests.alerts.receivers import HttpReceiver, http_receiver, smtp_receiver
from tests.hostile import HOSTILE
from tests.small_mart import SmallMart

SCHEMA = Path(__file__).with_name("fixtures") / "ocsf-1.8.0-detection_finding.schema.json"
DAY = 86_400_000

# kafka-python reads its own files through a deprecated function when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")
PROMPT = "PROMPT-TEXT-THAT-MUST-NOT-LEAVE"


@pytest.fixture(scope="module")
def hostile_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every hostile text as a campaign's id, an account's id and every free text; all of it worth an alert."""
    path = tmp_path_factory.mktemp("hostile") / "mart.duckdb"
    SmallMart(
        accounts=200,
        campaign_sizes=(2,) * len(HOSTILE),
        ids=[f"m-{i}" for i in range(2 * len(HOSTILE))] + list(HOSTILE),
        campaign_ids=HOSTILE,
        texts=HOSTILE,
    ).write(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "UPDATE suspect_accounts SET confidence = 'medium', score = 5, rank = CASE"
            " WHEN list_contains($1, account_id) THEN rank ELSE rank + 1000 END",
            [list(HOSTILE)],
        )
        for relation in ("account_reasons", "campaign_reasons"):
            connection.execute(f"UPDATE {relation} SET contribution = 0.5 WHERE contribution < 0.5")
            connection.execute(
                f"UPDATE {relation} SET ordinary_cause = $1,"
                " reason = CASE WHEN family = 'tempo' THEN $2 ELSE reason END",
                [HOSTILE[6] + HOSTILE[8], HOSTILE[0]],
            )
    return path


@pytest.fixture
def hostile(hostile_template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "mart.duckdb"
    path.write_bytes(hostile_template.read_bytes())
    return path


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running


def dangerous(text: str) -> set[str]:
    return {
        c
        for c in text
        if c not in "\r\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
    }


def strings(value: object) -> Iterator[str]:
    """Every string of a JSON value, names of fields included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


EVERYTHING: dict[str, object] = {
    "first_campaigns": len(HOSTILE),
    "first_accounts": len(HOSTILE),
    "per_day": 1000,
    "backoff_seconds": 0,
}


def test_slack(hostile: Path, receiver: HttpReceiver, settings_with: Callable[..., Settings]) -> None:
    report = send_alerts(hostile, settings_with(slack__url=receiver.url + "/T0/secret", **EVERYTHING), NOW_MS)
    assert len(receiver.arrivals) == len(report.told) == 2 * len(HOSTILE)
    for arrival, alert in zip(receiver.arrivals, report.told, strict=True):
        assert arrival.body.isascii()
        body = json.loads(arrival.body)
        assert body["text"] == f"scarecrow: opened {alert.kind} {alert.uid}"
        assert len(body["blocks"]) <= 50
        for block in body["blocks"]:
            texts = [block["text"]] if "text" in block else block["elements"]
            for text in texts:
                assert text["type"] == "plain_text"  # neither mentions nor links nor bold
                assert 0 < len(text["text"]) <= (150 if block["type"] == "header" else 3000)
                assert not set("<>") & set(text["text"])
                assert "&" not in text["text"].replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
                assert dangerous(html.unescape(text["text"])) == set()
        assert body["blocks"][0]["text"]["text"].startswith("New ")


def test_webhook(hostile: Path, receiver: HttpReceiver, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with(webhook__url=receiver.url, webhook__key="whsec_" + "QUJD" * 8, **EVERYTHING)
    report = send_alerts(hostile, settings, NOW_MS)
    assert {json.loads(a.body)["data"]["id"] for a in receiver.arrivals} == set(
        HOSTILE
    )  # exact ids for machines
    for arrival in receiver.arrivals:
        assert arrival.body.isascii()
        assert dangerous(arrival.body.decode()) == set()
        event = json.loads(arrival.body)
        assert set(event) == {
            "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data",
        }  # fmt: skip
        assert event["specversion"] == "1.0"
        assert event["type"] == "io.scarecrow.finding.opened.v1"
        assert event["id"] == arrival.headers["webhook-id"]
        assert arrival.headers["content-type"].startswith("application/cloudevents+json")
        at = int(arrival.headers["webhook-timestamp"])
        assert arrival.headers["webhook-signature"] == signature(b"ABC" * 8, event["id"], at, arrival.body)
        for name in ("shown_id", "text"):
            assert dangerous(event["data"][name]) == set()
    assert len(report.told) == len(receiver.arrivals)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification."""
    from pydantic import SecretStr

    key = signing_key(SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    body = b'{"test": 2432232314}'
    assert (
        signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_pagerduty(hostile: Path, receiver: HttpReceiver, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with(
        pagerduty__routing_key="R0UT1NG", pagerduty__url=receiver.url, resolve_after=1, **EVERYTHING
    )
    send_alerts(hostile, settings, NOW_MS)
    opened = [json.loads(a.body) for a in receiver.arrivals]
    for arrival, event in zip(receiver.arrivals, opened, strict=True):
        assert arrival.body.isascii()
        assert event["routing_key"] == "R0UT1NG"
        assert event["event_action"] == "trigger"
        assert len(event["dedup_key"]) <= 255
        payload = event["payload"]
        assert len(payload["summary"]) <= 1024
        assert payload["severity"] in ("critical", "error", "warning", "info")
        assert {"summary", "source", "severity"} <= set(payload)
        for text in strings(event):
            assert dangerous(text) == set()
    with duckdb.connect(str(hostile)) as connection:
        connection.execute("DELETE FROM suspect_campaigns")
        connection.execute("UPDATE runs SET as_of = as_of + INTERVAL 1 DAY")
    send_alerts(hostile, settings, NOW_MS + DAY)
    resolved = [json.loads(a.body) for a in receiver.arrivals[len(opened) :]]
    assert {e["event_action"] for e in resolved} == {"resolve"}
    assert {e["dedup_key"] for e in resolved} == {
        e["dedup_key"] for e in opened if e["payload"]["component"] == "campaign"
    }
    assert b"R0UT1NG" not in outbox_file(hostile).read_bytes()


def test_mail(hostile: Path, settings_with: Callable[..., Settings]) -> None:
    with smtp_receiver() as server:
        settings = settings_with(
            email__host="127.0.0.1",
            email__port=server.port,
            email__security="none",
            email__sender="scarecrow@example.org",
            email__to="tands@example.org, other@example.org",
            **EVERYTHING,
        )
        report = send_alerts(hostile, settings, NOW_MS)
    assert report.waiting == 0
    assert len(server.mails) == len(report.told)
    for raw, mail in zip(server.raw, server.mails, strict=True):
        assert raw.isascii()
        assert mail.get_content_type() == "text/plain"
        assert not mail.is_multipart()
        assert sorted(mail.keys()) == sorted(
            ["Subject", "From", "To", "Date", "Message-ID", "References", "Auto-Submitted", "X-Scarecrow-Key",
             "X-Scarecrow-Event", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
        )  # fmt: skip  # no header was smuggled in
        assert mail["Message-ID"] == f"<{mail['X-Scarecrow-Key']}@scarecrow.invalid>"
        assert str(mail["Subject"]).strip().startswith("[scarecrow] New ")
        assert dangerous(str(mail["Subject"])) == set()
        assert dangerous(mail.get_content()) == set()
        assert not any(line.startswith("forged line") for line in mail.get_content().splitlines())


def test_mail_that_was_kept_but_not_answered_comes_again_under_the_same_id(
    mart: Path, settings_with: Callable[..., Settings]
) -> None:
    with smtp_receiver() as server:
        server.cut_after_data = 1
        server.codes = [451, 451]  # come back later, for both addresses
        settings = settings_with(
            email__host="127.0.0.1", email__port=server.port, email__security="none",
            email__sender="s@example.org", email__to="a@example.org,b@example.org", backoff_seconds=0,
            first_campaigns=1, first_accounts=0,
        )  # fmt: skip
        report = send_alerts(mart, settings, NOW_MS)
    assert (report.deliveries[0].sent, report.deliveries[0].tries) == (1, 3)
    assert len(server.raw) == 2
    assert server.raw[0] == server.raw[1]


def test_mail_that_is_refused_for_good_is_not_tried_again_at_once(
    mart: Path, settings_with: Callable[..., Settings]
) -> None:
    with smtp_receiver() as server:
        server.codes = [550] * 3
        settings = settings_with(
            email__host="127.0.0.1", email__port=server.port, email__security="none",
            email__sender="s@example.org", email__to="a@example.org", first_campaigns=1, first_accounts=0,
        )  # fmt: skip
        report = send_alerts(mart, settings, NOW_MS)
        assert (report.deliveries[0].waiting, report.deliveries[0].tries) == (1, 1)
        assert "550" in report.deliveries[0].said[0]
        assert not server.mails


def test_ocsf_validates_against_the_published_schema(
    hostile: Path, settings_with: Callable[..., Settings]
) -> None:
    file = hostile.with_name("ocsf.jsonl")
    settings = settings_with(ocsf=str(file), resolve_after=1, **EVERYTHING)
    with duckdb.connect(str(hostile)) as connection:
        connection.execute(
            "UPDATE suspect_campaigns SET label ="
            " CASE rank WHEN 1 THEN 'true_positive' WHEN 2 THEN 'suspicious' END"
        )
    send_alerts(hostile, settings, NOW_MS)
    with duckdb.connect(str(hostile)) as connection:
        connection.execute("UPDATE suspect_campaigns SET score = score + 5 WHERE rank > 3")
        connection.execute("DELETE FROM suspect_campaigns WHERE rank <= 3")
        connection.execute("UPDATE runs SET as_of = as_of + INTERVAL 2 DAY")
    send_alerts(hostile, settings, NOW_MS + 2 * DAY)
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    text = file.read_bytes()
    assert text.isascii()
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        assert [e.message for e in validator.iter_errors(event)] == []
        for shown in (event["message"], event["finding_info"]["desc"], event["resources"][0]["name"]):
            assert dangerous(shown.replace("\n", "")) == set()
    assert {e["type_uid"] for e in events} == {200401, 200402, 200403}
    assert {e.get("verdict_id") for e in events} >= {2, 4}
    assert any(e.get("anomaly_analyses", [{}])[0].get("baselines") for e in events)
    # The check can fail: what the schema forbids is found.
    for broken in ({"class_uid": 2005}, {"severity_id": 77}, {"surprise": 1}):
        assert list(validator.iter_errors(events[0] | broken))


def test_shadow_findings_are_experimental(mart: Path, settings_with: Callable[..., Settings]) -> None:
    file = mart.with_name("ocsf.jsonl")
    send_alerts(mart, settings_with(ocsf=str(file), is_shadow=True), NOW_MS)
    event = json.loads(file.read_text().splitlines()[0])
    assert event["finding_info"]["analytic"]["state_id"] == 3
    assert event["is_alert"] is False


def test_the_digest_tells_what_was_held_back(
    mart: Path, receiver: HttpReceiver, settings_with: Callable[..., Settings]
) -> None:
    settings = settings_with(webhook__url=receiver.url, per_day=1, digest_hour=0)
    assert len(send_alerts(mart, settings, NOW_MS).told) == 1
    assert not send_alerts(mart, settings, NOW_MS + 60_000).has_digest
    assert send_alerts(mart, settings, NOW_MS + DAY).has_digest
    assert not send_alerts(mart, settings, NOW_MS + DAY + 60_000).has_digest
    digests = [json.loads(a.body) for a in receiver.arrivals if b"digest.v1" in a.body]
    assert len(digests) == 1
    data: dict[str, Any] = digests[0]["data"]
    assert [m["event"] for m in data["told"]] == ["opened"]
    assert {m["why"] for m in data["held"]} == {"budget"}
    assert data["open_findings"] == 1
    assert "Held back: 2" in data["text"]


def test_one_receiver_that_is_down_does_not_hold_up_the_others(
    mart: Path, receiver: HttpReceiver, settings_with: Callable[..., Settings]
) -> None:
    down = settings_with(
        webhook__url=receiver.url, slack__url="http://127.0.0.1:1/T0PS3CRET", backoff_seconds=0, attempts=2
    )
    report = send_alerts(mart, down, NOW_MS)
    assert {d.channel: (d.sent, d.waiting) for d in report.deliveries} == {"slack": (0, 3), "webhook": (3, 0)}
    assert "T0PS3CRET" not in str(report)
    up = settings_with(webhook__url=receiver.url, slack__url=receiver.url + "/slack")
    report = send_alerts(mart, up, NOW_MS + 1000)
    assert {d.channel: (d.sent, d.waiting) for d in report.deliveries} == {"slack": (3, 0), "webhook": (0, 0)}


def test_deliveries_are_given_up_in_the_end(mart: Path, settings_with: Callable[..., Settings]) -> None:
    down = settings_with(slack__url="http://127.0.0.1:1/", backoff_seconds=0, attempts=1, give_up_days=2)
    assert send_alerts(mart, down, NOW_MS).waiting == 3
    report = send_alerts(mart, down, NOW_MS + 3 * DAY)
    assert (report.waiting, report.given_up) == (1, 3)  # the digest is young


@pytest.mark.parametrize(("status", "tries"), [("400", 1), ("403", 1), ("302", 1), ("503", 3), ("429", 3)])
def test_what_a_status_means(
    status: str, tries: int, mart: Path, settings_with: Callable[..., Settings]
) -> None:
    with http_receiver(lambda: status) as receiver:
        settings = settings_with(
            webhook__url=receiver.url, attempts=3, backoff_seconds=0, first_campaigns=1, first_accounts=0
        )
        report = send_alerts(mart, settings, NOW_MS)
    assert report.waiting == 1
    assert len(receiver.arrivals) == tries
    assert all(a.path == "/" for a in receiver.arrivals)  # a redirect is not followed


def test_an_older_ranking_tells_nothing(
    mart: Path, receiver: HttpReceiver, settings_with: Callable[..., Settings]
) -> None:
    settings = settings_with(webhook__url=receiver.url, per_day=100)
    send_alerts(mart, settings, NOW_MS)
    with duckdb.connect(str(mart)) as connection:
        connection.execute("UPDATE runs SET as_of = as_of - INTERVAL 1 DAY")
        connection.execute("DELETE FROM suspect_campaigns")
    report = send_alerts(mart, settings, NOW_MS + DAY)
    assert not report.is_news
    assert not report.told


def test_a_dry_run_sends_and_notes_nothing(mart: Path, settings_with: Callable[..., Settings]) -> None:
    before = sorted(mart.parent.iterdir())
    report = preview(mart, settings_with(), NOW_MS)
    assert report.is_dry_run
    assert len(report.told) == 3
    assert sorted(mart.parent.iterdir()) == before


@pytest.mark.parametrize("url", ["ftp://host/SECRET", "SECRET", "http:///SECRET", "http://[SECRET", ""])
def test_an_address_that_is_none_is_not_shown(
    url: str, mart: Path, settings_with: Callable[..., Settings]
) -> None:
    with pytest.raises(UsageError) as caught:
        send_alerts(mart, settings_with(slack__url=url), NOW_MS)
    assert "SECRET" not in str(caught.value)
    assert "alerts.slack.url" in str(caught.value)


def test_the_command(
    hostile: Path,
    receiver: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["alert", "--mart", str(hostile)]) == 2
    assert "No alert channel is set" in capsys.readouterr().err
    monkeypatch.setenv("SCARECROW_ALERTS__FIRST_CAMPAIGNS", "100")
    for form in ([], ["--json"]):
        assert run(["alert", "--mart", str(hostile), "--dry-run", *form]) == 0
        out = capsys.readouterr().out
        assert dangerous(out) == set()
        assert "forged line" in out
        assert not any(line.startswith("forged line") for line in out.splitlines())
    monkeypatch.setenv("SCARECROW_ALERTS__SLACK__URL", receiver.url + "/T0PS3CRET")
    monkeypatch.setenv("SCARECROW_ALERTS__PER_DAY", "3")
    assert run(["alert", "--mart", str(hostile)]) == 0
    shown = capsys.readouterr()
    assert "told: 3, held back: 31" in shown.out
    assert "T0PS3CRET" not in shown.out + shown.err
    assert run(["settings"]) == 0
    assert "T0PS3CRET" not in capsys.readouterr().out


def test_the_command_fails_when_a_receiver_does_not_take_it(
    mart: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCARECROW_ALERTS__SLACK__URL", "http://127.0.0.1:1/T0PS3CRET")
    monkeypatch.setenv("SCARECROW_ALERTS__BACKOFF_SECONDS", "0")
    monkeypatch.setenv("SCARECROW_ALERTS__FIRST_ACCOUNTS", "0")
    assert run(["alert", "--mart", str(mart)]) == 1
    err = capsys.readouterr().err
    assert "3 deliveries wait" in err
    assert "T0PS3CRET" not in err


def test_nothing_that_leaves_holds_the_free_text_of_reasons(
    tmp_path: Path, receiver: HttpReceiver, settings_with: Callable[..., Settings]
) -> None:
    """The mart's `reasons` are words for people; should a prompt ever get into them, no alert repeats it."""
    mart = SmallMart(texts=[PROMPT], campaign_sizes=(24, 12)).write(tmp_path / "mart.duckdb")
    file = tmp_path / "ocsf.jsonl"
    settings = settings_with(
        webhook__url=receiver.url, slack__url=receiver.url, ocsf=str(file), pagerduty__routing_key="r",
        pagerduty__url=receiver.url,
    )  # fmt: skip
    report = send_alerts(mart, settings, NOW_MS)
    assert report.told
    assert PROMPT.encode() not in b"".join(a.body for a in receiver.arrivals) + file.read_bytes()
    with sqlite3.connect(outbox_file(mart)) as db:
        assert PROMPT not in str(db.execute("SELECT body FROM messages").fetchall())
    db.close()
