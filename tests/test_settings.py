import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pipelines.cli.app import run
from pipelines.errors import ScarecrowError, UsageError
from pipelines.settings import (
    Settings,
    hash_key,
    key_file,
    load_settings,
    setting_rows,
    settings_hash,
    variable,
)

# kafka-python reads its own files through a deprecated function when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")

SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests, a working directory and a home of their own."""
    for name in list(os.environ):
        if name.startswith("SCARECROW_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_defaults() -> None:
    settings = load_settings()
    assert settings.lake.path == "lake"
    assert settings.ingest.cycle_mib == 256
    assert settings.ingest.slice_mib == 32
    assert settings.ingest.dedup_horizon == 4_000_000
    assert settings.rank.horizon_days == 14
    assert settings.origin("lake.path") == "default"
    assert settings.ingest.worker_count() == (os.cpu_count() or 1)


def test_flags_over_environment_over_file_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("scarecrow.toml").write_text(
        '[lake]\npath = "from file"\n[ingest]\nworkers = 1\nslice_mib = 2\ncycle_mib = 3\n'
    )
    monkeypatch.setenv("SCARECROW_INGEST__WORKERS", "4")
    monkeypatch.setenv("SCARECROW_INGEST__SLICE_MIB", "5")
    settings = load_settings(flags={"ingest.workers": 6, "rank.horizon_days": None})
    found = {name: (row.value, row.origin) for row in setting_rows(settings) for name in [row.name]}
    assert found["ingest.workers"] == (6, "flag")
    assert found["ingest.slice_mib"] == (5, "environment SCARECROW_INGEST__SLICE_MIB")
    assert found["ingest.cycle_mib"] == (3, "file scarecrow.toml")
    assert found["lake.path"] == ("from file", "file scarecrow.toml")
    assert found["rank.horizon_days"] == (14, "default")


def test_a_named_file_takes_the_place_of_the_one_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("scarecrow.toml").write_text("[ingest]\nworkers = 1\n")
    Path("other.toml").write_text("[ingest]\nslice_mib = 9\n")
    settings = load_settings(Path("other.toml"))
    assert (settings.ingest.workers, settings.ingest.slice_mib) == (0, 9)
    monkeypatch.setenv("SCARECROW_SETTINGS", "other.toml")
    assert load_settings().ingest.slice_mib == 9


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[ingest]\nworkrs = 1\n", r"ingest\.workrs \(file scarecrow\.toml\) is not a setting; did you mean"),
        ("[nothing]\nlike = 1\n", "nothing .* is not a setting; `scarecrow settings` lists them"),
        ("[ingest]\nworkers = 'many'\n", r"ingest\.workers = 'many' \(file scarecrow\.toml\) does not fit: "),
        ("[ingest]\nrunner = 'direct'\n", "'inprocess', 'prism' or 'dask'"),
        ("[ingest]\nslice_mib = 0\n", "greater than or equal to 1"),
        ("[rank]\nhorizon_days = -1\n", "greater than 0"),
        ("ingest = 4\n", "The setting ingest .* does not fit"),
        ("[ingest\n", "is not TOML"),
        ("[kafka]\ngroup = ''\n", r"kafka\.group \(file scarecrow\.toml\) does not fit"),
        ("[kafka]\ngrup = 'x'\n", r"is not a setting; did you mean kafka\.group"),
        ("\udcff", "is not TOML"),
    ],
)
def test_a_wrong_file_is_wrong_usage_in_one_sentence(toml: str, said: str) -> None:
    Path("scarecrow.toml").write_bytes(toml.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=said) as error:
        load_settings()
    assert "\n" not in str(error.value)


def test_a_missing_file_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"settings file no\.toml does not exist"):
        load_settings(Path("no.toml"))


def test_wrong_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCARECROW_INGEST__WORKERS", "many")
    with pytest.raises(UsageError, match=r"\(environment SCARECROW_INGEST__WORKERS\) does not fit"):
        load_settings()
    monkeypatch.delenv("SCARECROW_INGEST__WORKERS")
    monkeypatch.setenv("SCARECROW_INGEST__WORKRS", "1")
    with pytest.raises(UsageError, match=r"is not a setting; did you mean ingest\.workers"):
        load_settings()
    monkeypatch.delenv("SCARECROW_INGEST__WORKRS")
    monkeypatch.setenv("SCARECROW_INGEST", "[1")
    with pytest.raises(UsageError, match="is not JSON"):
        load_settings()


def test_variables_of_a_container_platform_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCARECROW_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("SCARECROW_PORT", "tcp://10.0.0.1:80")
    assert load_settings() == Settings()


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SCARECROW_PRIVACY__HASH_KEY", SECRET)
    monkeypatch.setenv("SCARECROW_KAFKA__TLS_KEY_PASSWORD", SECRET)
    settings = load_settings()
    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()
    assert run(["settings"]) == 0
    assert run(["settings", "--json"]) == 0
    out = capsys.readouterr().out
    assert SECRET not in out
    assert "SCARECROW_PRIVACY__HASH_KEY" in out
    assert "SCARECROW_KAFKA__TLS_KEY_PASSWORD" in out


@pytest.mark.parametrize("name", ["SCARECROW_PRIVACY__HASH_KEY", "SCARECROW_PRIVACY__HASH_KYE"])
def test_secrets_are_not_shown_in_errors_either(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "short secret")
    with pytest.raises(UsageError) as error:
        load_settings()
    assert "short secret" not in str(error.value)
    assert error.value.__cause__ is None


def test_settings_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    names = [entry["name"] for entry in shown["settings"]]
    assert shown["settings_hash"] == settings_hash(load_settings())
    assert names == [row.name for row in setting_rows(load_settings())]
    assert "kafka.group" in names


def test_the_hash_follows_values_and_not_secrets_or_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = settings_hash(load_settings())
    assert settings_hash(load_settings(flags={"ingest.slice_mib": 32})) == plain
    assert settings_hash(load_settings(flags={"ingest.slice_mib": 33})) != plain
    monkeypatch.setenv("SCARECROW_PRIVACY__HASH_KEY", SECRET)
    monkeypatch.setenv("SCARECROW_KAFKA_GROUP", "another")
    assert settings_hash(load_settings()) == plain


@given(st.text(min_size=16, max_size=60, alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_given_key_is_hashed_to_sixteen_bytes(text: str) -> None:
    settings = Settings(privacy={"hash_key": SecretStr(text)})  # type: ignore[arg-type]
    assert hash_key(settings) == hashlib.blake2b(text.encode(), digest_size=16).digest()


def test_a_key_is_made_once_and_only_its_owner_may_read_it() -> None:
    key = hash_key(Settings())
    assert hash_key(Settings()) == key
    assert len(key) == 16
    assert stat.S_IMODE(key_file().stat().st_mode) == 0o600
    assert [p.name for p in key_file().parent.iterdir()] == ["hash.key"]
    key_file().unlink()
    assert hash_key(Settings()) != key


def test_processes_that_start_at_once_agree_on_one_key() -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: hash_key(Settings()), range(64)))
    assert len(keys) == 1
    assert [p.name for p in key_file().parent.iterdir()] == ["hash.key"]


def test_a_key_that_cannot_be_made_is_said_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file where a folder should be")
    with pytest.raises(ScarecrowError, match=r"hash\.key cannot be read or made .*; set SCARECROW_PRIVACY"):
        hash_key(Settings())


def test_a_damaged_key_is_never_used() -> None:
    hash_key(Settings())
    key_file().write_text("")
    with pytest.raises(ScarecrowError, match="holds no key"):
        hash_key(Settings())


def test_names_of_variables() -> None:
    assert variable("rank.horizon_days") == "SCARECROW_RANK__HORIZON_DAYS"
