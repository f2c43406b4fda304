"""Where settings come from, and what is said when they are missing."""

import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest

from bulk_onboard.domain.model import IfExists, Secret
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import UsageError
from bulk_onboard.settings import Login, RowLimit, Settings
from bulk_onboard.settings.load import load
from bulk_onboard.settings.requirements import missing_settings, require

RAVEN = PROVIDERS["raven"]


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def test_without_any_setting_the_defaults_hold() -> None:
    settings = load({})
    assert replace(settings, app={}) == Settings()
    assert (settings.leaf.base_url, settings.pace.rate) == ("https://api.withleaf.io", 10)


def test_the_environment_beats_the_dotenv_file_and_that_beats_the_toml_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("bulk-onboard.toml", "[providers.raven]\nclient_id = 'toml'\n")
    assert load({}).app["raven"]["clientId"] == Secret("toml")
    write(".env", "RAVEN_CLIENT_ID=dotenv\n")
    assert load({}).app["raven"]["clientId"] == Secret("dotenv")
    monkeypatch.setenv("RAVEN_CLIENT_ID", "environment")
    assert load({}).app["raven"]["clientId"] == Secret("environment")


def test_an_option_beats_the_toml_file() -> None:
    write("bulk-onboard.toml", "rate = '600/min'\nevents = false\n")
    assert load({"rate": None, "events": None}).pace.rate == 10
    assert load({"rate": 3.0}).pace.rate == 3
    assert load({"rate": 3.0}).events.check is False
    assert load({"events": True}).events.check is True


def test_an_option_named_like_a_common_variable_is_not_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OUTPUT", "elsewhere")
    monkeypatch.setenv("RATE", "1000")
    settings = load({})
    assert replace(settings, app={}) == Settings()
    assert not any(settings.app.values())


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    write(".env", "LEAF_TOKEN=from-file\nLEAF_BASE_URL=\n")
    monkeypatch.setenv("LEAF_TOKEN", "")
    settings = load({})
    assert settings.leaf.login.token == Secret("from-file")
    assert settings.leaf.base_url == "https://api.withleaf.io"


def test_a_dotenv_file_may_have_other_settings_and_a_byte_order_mark() -> None:
    Path(".env").write_bytes(b"\xef\xbb\xbfLEAF_TOKEN=tok-1\nOTHER=1\n")
    assert load({}).leaf.login.token == Secret("tok-1")


def test_toml_keys_are_the_options_in_either_case() -> None:
    write(
        "bulk-onboard.toml",
        """
        provider = "Raven Slingshot"
        max-failures = "5%"
        max_in_flight = 7
        if-exists = "overwrite"
        events-wait = "2m"
        output = "out"
        ledger = "sqlite:///l.db"
        format = ["csv", "jsonl"]
        keep = ["name, full"]
        timeout = 5
        [map]
        accessKey = "Key"
        [leaf]
        base-url = "https://leaf.example/"
        username = "me"
        [providers.raven-slingshot]
        apiKey = "k"
        """,
    )
    settings = load({"map": {"leafUserId": "ID"}})
    assert settings.provider == "raven-slingshot"
    assert settings.safety.max_failures == RowLimit(share=0.05)
    assert settings.pace.max_in_flight == 7
    assert settings.if_exists is IfExists.OVERWRITE
    assert settings.events.wait == 120
    assert settings.output.folder == Path("out")
    assert settings.output.ledger_place == Path("l.db")
    assert settings.output.formats == ("csv", "jsonl")
    assert settings.input.keep == ("name, full",)
    assert settings.input.mapping == {"accessKey": "Key", "leafUserId": "ID"}
    assert (settings.leaf.base_url, settings.leaf.timeout) == ("https://leaf.example", 5)
    assert settings.leaf.login.username == "me"
    assert settings.app_of("raven-slingshot") == {"apiKey": Secret("k")}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rat = 5", r"unknown key: rat \(did you mean rate\?\)"),
        ("[leaf]\nbase_ur = 'x'", r"\[leaf\] in .* base_ur \(did you mean base_url\?\)"),
        ("[providers.raven]\nclient_secrt = 'x'", r"did you mean client_secret\?"),
        ("[providers.ravne]\nclient_id = 'x'", r"did you mean raven\?"),
        ("sandbox_reset = true", "unknown key: sandbox_reset"),
        ("leaf = 5", "not a table"),
        ("rate = 'fast'", "rate: 'fast' is not a rate"),
        ("limit = 0\nstrict = 'yes'", "limit: .*; .*strict: "),
        ("keep = 5", "keep: 5 is not a text"),
        ("map = 'x'", "map: 'x' is not FIELD=COLUMN"),
        ("provider = 'x'", "provider: 'x' is not a provider"),
        ("if-exists = 'replant'", "if_exists: .*skip.*overwrite"),
        ("output = 5", "output: "),
    ],
)
def test_an_error_in_the_toml_file_names_its_key(text: str, told: str) -> None:
    write("bulk-onboard.toml", text)
    with pytest.raises(UsageError, match=told):
        load({})


def test_a_syntax_error_in_the_toml_file_names_its_place_only() -> None:
    write("mine.toml", "[leaf]\ntoken = hunter2")
    with pytest.raises(UsageError, match=r"mine\.toml is not valid TOML \(at line 2") as refused:
        load({}, Path("mine.toml"))
    assert "hunter2" not in str(refused.value)


def test_a_wrong_option_of_the_library_is_not_attributed_to_the_toml_file() -> None:
    with pytest.raises(UsageError, match=r"^rate: 'fast' is not a rate"):
        load({"rate": "fast"}, is_command_line=False)
    assert load({"rate": "600/min", "output": "out", "timeout": "1m"}).leaf.timeout == 60


def test_a_secret_of_the_wrong_type_is_not_shown() -> None:
    write("bulk-onboard.toml", "[leaf]\ntoken = 987654321")
    with pytest.raises(UsageError, match=r"leaf\.token") as refused:
        load({})
    assert "987654321" not in str(refused.value)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_readable_toml_file_with_a_secret_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = write("bulk-onboard.toml", "[leaf]\nusername = 'me'\n[providers.raven]\nclient_id = 'public'\n")
    path.chmod(0o644)
    load({})
    assert caplog.messages == []
    path.write_text("[leaf]\ntoken = 't'\n")
    load({})
    assert "chmod 600 bulk-onboard.toml" in caplog.messages[0]
    path.chmod(0o600)
    load({})
    assert len(caplog.messages) == 1


def test_all_missing_settings_are_listed() -> None:
    with pytest.raises(UsageError) as refused:
        require(load({}), [RAVEN], {"leafUserId", "refreshToken"})
    for name in (
        "3 settings",
        "LEAF_TOKEN",
        "LEAF_USERNAME",
        "RAVEN_CLIENT_ID",
        "RAVEN_CLIENT_SECRET",
        "--sandbox",
    ):
        assert name in str(refused.value)


def test_an_app_field_with_a_column_of_its_own_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_TOKEN", "t")
    settings = load({})
    assert missing_settings(settings, [RAVEN], {"clientId"}) == ["RAVEN_CLIENT_SECRET"]
    assert missing_settings(settings, [RAVEN], {"clientId", "clientSecret"}) == []
    assert missing_settings(settings, [], ()) == []


@pytest.mark.parametrize(
    ("set_", "missing"),
    [
        ({"LEAF_USERNAME": "me"}, "LEAF_PASSWORD"),
        ({"LEAF_PASSWORD": "pw"}, "LEAF_USERNAME"),
        ({}, "LEAF_TOKEN"),
    ],
)
def test_half_a_login_is_missing_its_other_half(
    set_: dict[str, str], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in set_.items():
        monkeypatch.setenv(name, value)
    (told,) = missing_settings(load({}), [], ())
    assert told.startswith(missing)


def test_the_sandbox_needs_no_setting_and_takes_no_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_BASE_URL", "http://nowhere.example")
    monkeypatch.setenv("LEAF_TOKEN", "real")
    monkeypatch.setenv("RAVEN_CLIENT_ID", "given")
    settings = load({"sandbox": True})
    require(settings, [RAVEN])
    assert settings.sandbox is not None
    assert settings.leaf.base_url.startswith("http://127.0.0.1")
    assert settings.leaf.login.token == Secret("practice")
    assert settings.app["raven"]["clientId"] == Secret("given")
    assert settings.app["raven"]["clientSecret"]
    assert settings.pace.rate == 100
    assert load({"sandbox": True, "rate": 5.0}).pace.rate == 5


def test_options_of_the_sandbox_need_the_sandbox() -> None:
    with pytest.raises(UsageError, match="--sandbox-reset works only with --sandbox"):
        load({"sandbox_reset": True})
    settings = load({"sandbox": True, "sandbox_reset": True, "sandbox_faults": "flaky"})
    assert settings.sandbox is not None
    assert (settings.sandbox.reset, settings.sandbox.faults) == (True, "flaky")


@pytest.mark.parametrize("url", ["http://api.withleaf.io", "https://me:hunter2@leaf.example", "leaf"])
def test_an_unsafe_base_url_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_BASE_URL", url)
    with pytest.raises(UsageError, match="LEAF_BASE_URL: ") as refused:
        load({})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("token", ["Bearer abc.def", "bearer  abc.def", " Authorization: Bearer abc.def "])
def test_a_token_copied_with_its_scheme_is_recognised(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_TOKEN", token)
    assert load({}).leaf.login.token == Secret("abc.def")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAVEN_CLIENT_SECRET", "your-client-secret"),
        ("RAVEN_CLIENT_ID", "TODO"),
        ("LEAF_USERNAME", "your-username"),
        ("LEAF_USERNAME", "your.name@example.com"),
        ("LEAF_USERNAME", "<username>"),
        ("LEAF_USERNAME", "${LEAF_USER}"),
        ("LEAF_PASSWORD", "your-password"),
        ("LEAF_PASSWORD", "<your password>"),
        ("LEAF_PASSWORD", "insert password here"),
        ("LEAF_PASSWORD", "${LEAF_PASSWORD}"),
    ],
)
def test_a_placeholder_in_a_setting_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"{name}: this is a placeholder"):
        require(load({}), [PROVIDERS["raven"]])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("me@example.com", "practice"),
        ("test", "test"),
        ("your1", "your dog eats the fish slowly"),
        ("todor@farm.example", "$ecret"),
        ("demo@farm.example", "<3 tractors>"),
    ],
)
def test_unusual_user_names_and_passwords_are_accepted(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAF_USERNAME", name)
    monkeypatch.setenv("LEAF_PASSWORD", value)
    assert load({}).leaf.login == Login(None, name, Secret(value))


def test_offline_commands_ignore_settings_of_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_BASE_URL", "http://api.withleaf.io")
    assert load({}, offline=True).leaf == Settings().leaf


@pytest.mark.parametrize("token", ["\u201cplanted\u201d", "plant\u00e9d", "planted\udcff"])
def test_a_token_that_cannot_be_a_header_is_refused(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_TOKEN", token)
    with pytest.raises(
        UsageError, match="LEAF_TOKEN: this contains a character that no token contains"
    ) as refused:
        load({})
    assert "plant" not in str(refused.value)


def test_a_secret_is_stripped_and_line_breaks_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEAF_TOKEN", " tok-1\n")
    assert load({}).leaf.login.token == Secret("tok-1")
    monkeypatch.setenv("LEAF_TOKEN", "to\nken")
    with pytest.raises(UsageError, match="LEAF_TOKEN: this contains a line break") as refused:
        load({})
    assert "ken\n" not in str(refused.value)


def test_no_secret_shows_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAF_TOKEN", "LEAF_PASSWORD", "RAVEN_CLIENT_SECRET"):
        monkeypatch.setenv(name, "hunter2")
    assert "hunter2" not in repr(load({}))


def test_each_app_field_of_each_provider_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider, number in zip(PROVIDERS.values(), itertools.count()):
        for field in provider.app_fields:
            monkeypatch.setenv(provider.setting(field), f"{field.name}-{number}")
    for provider, number in zip(PROVIDERS.values(), itertools.count()):
        app = load({"provider": provider.name}).app_of(provider.name)
        assert app == {f.name: Secret(f"{f.name}-{number}") for f in provider.app_fields}


def test_a_cluster_does_not_create_users() -> None:
    with pytest.raises(UsageError, match="a single process"):
        load({"cluster": "local:2", "create_users": True})
    write("bulk-onboard.toml", "cluster = 'local:2'\n")
    with pytest.raises(UsageError, match="a single process"):
        load({"create_users": True})


def test_all_errors_are_reported_at_once_by_the_name_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("bulk-onboard.toml", "events-wait = 'soon'\nrate = 'fast'\n[providers.raven]\nclient_id = 5\n")
    write(".env", "LEAF_PASSWORD=your-password\n")
    monkeypatch.setenv("LEAF_BASE_URL", "http://leaf.example")
    with pytest.raises(UsageError) as refused:
        load({"rate": "slow", "provider": "ravne"})
    for text in (
        "bulk-onboard.toml: events_wait: 'soon' is not",
        "[providers.raven] in bulk-onboard.toml: client_id: it is not a text",
        "LEAF_PASSWORD: this is a placeholder",
        "LEAF_BASE_URL: plain http to leaf.example",
        "--rate: 'slow' is not",
        "--provider: 'ravne' is not a provider (did you mean raven?)",
    ):
        assert text in str(refused.value)
    assert "'fast'" not in str(refused.value), "the option decides"


def test_errors_of_pydantic_quote_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAF_TOKEN", "LEAF_PASSWORD", "BULK_ONBOARD_PING", "BULK_ONBOARD_NOTIFY"):
        monkeypatch.setenv(name, "planted hunter2\u201c")
    write(
        "bulk-onboard.toml",
        "[leaf]\nusername = ['hunter2']\n[providers.raven]\nclient_secret = ['hunter2']\n",
    )
    with pytest.raises(UsageError) as refused:
        load({"rate": "fast"})
    error: BaseException | None = refused.value
    assert "client_secret" in str(error)
    while error is not None:  # pydantic's own error, too, which a traceback might show
        assert "hunter2" not in f"{error} {error!r}"
        error = error.__context__
