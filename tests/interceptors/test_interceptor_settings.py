"""Settings: arguments over environment over defaults; every problem at once; the role from the deployment alone."""

import logging
import re
from pathlib import Path

import grpc_mirror
import pytest
from grpc_mirror import shadow
from grpc_mirror.settings import VARIABLES, Settings, SettingsError


def test_arguments_win_over_the_environment_and_that_over_defaults():
    environ = {"MIRROR_ENDPOINT": "collector:4317", "MIRROR_BATCH_AGE_S": "0.5", "MIRROR_MESSAGE_MAX_BYTES": "64KiB"}
    settings = Settings.from_env(environ, batch_age_s=0.2)
    assert (settings.endpoint, settings.batch_age_s, settings.message_max_bytes) == ("collector:4317", 0.2, 65536)
    assert settings.capture_max_bytes == 768 * 1024


def test_every_problem_is_told_at_once_with_what_to_do():
    environ = {
        "MIRROR_ENDPOINT": "http://collector:4317/v1/traces",
        "MIRROR_ROLE": "candidat",
        "MIRROR_SINK": "tracr",
        "MIRROR_QUEUE_MAX_CALLS": "many",
        "MIRROR_ENDPONT": "x",
    }
    with pytest.raises(SettingsError) as error:
        Settings.from_env(environ, batch_ages=1)
    text = str(error.value)
    for told in (
        "has a path; give host:port",
        "did you mean 'candidate'?",
        "did you mean 'tracer'?",
        "MIRROR_QUEUE_MAX_CALLS='many': not a whole number",
        "did you mean MIRROR_ENDPOINT?",
        "did you mean 'batch_age_s'?",
    ):
        assert told in text


def test_a_problem_has_the_name_by_which_the_setting_was_given():
    environ = {"MIRROR_ENDPOINT": "collector", "MIRROR_SINK": "trace"}
    with pytest.raises(SettingsError) as error:
        Settings.from_env(environ, sink="trace", batch_age_s=-1)
    assert [problem.split("=")[0] for problem in error.value.problems] == ["MIRROR_ENDPOINT", "sink", "batch_age_s"]


def test_another_word_is_no_slip_of_the_pen():
    """Who says canary means the candidate, and is not to be sent to the secondary."""
    with pytest.raises(SettingsError) as error:
        Settings.from_env({"MIRROR_ROLE": "canary"})
    assert error.value.problems == ("MIRROR_ROLE='canary': not a role; one of primary, candidate, secondary",)


@pytest.mark.parametrize(
    ("endpoint", "target", "secure"),
    [
        ("collector:4317", "collector:4317", False),
        ("http://collector:4317", "collector:4317", False),
        ("https://collector:4317/", "collector:4317", True),
        ("[::1]:4317", "[::1]:4317", False),
        ("unix:/run/mirror.sock", "unix:/run/mirror.sock", False),
    ],
)
def test_endpoints(endpoint, target, secure):
    settings = Settings(endpoint=endpoint)
    assert (settings.target, settings.secure, settings.enabled) == (target, secure, True)


@pytest.mark.parametrize("endpoint", ["collector", "collector:99999", "ftp://collector:1", "a:b:c"])
def test_endpoints_that_are_none(endpoint):
    with pytest.raises(SettingsError):
        Settings(endpoint=endpoint)


def test_a_limit_beyond_all_memory_is_refused():
    """It would end the sender in its C parts."""
    with pytest.raises(SettingsError, match="queue_max_bytes=1180591620717411303424: more than anything can hold"):
        Settings(endpoint="c:1", queue_max_bytes=1 << 70)


def test_only_name_and_resource_come_from_otel():
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://vendor:4317",
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,service.version=1.2,team=a%20b",
    }
    settings = Settings.from_env(environ)
    assert not settings.enabled
    assert (settings.service_name, settings.version) == ("shop", "1.2")
    assert settings.resource == (("service.version", "1.2"), ("team", "a b"))


def test_the_role_is_no_argument():
    """A role that is_shadow() does not know of would let a shadow charge cards."""
    with pytest.raises(SettingsError, match="set MIRROR_ROLE on the deployment"):
        grpc_mirror.server_interceptor(role="candidate")


def test_the_bearer_token_is_shown_nowhere():
    assert "secret" not in repr(Settings(bearer="secret", read_bearer="secret"))


def test_private_paths_come_by_commas_or_blanks():
    environ = {"MIRROR_PRIVATE": 'request.card.number, **.email trailing_metadata["a, b"]'}
    assert Settings.from_env(environ).private == ("request.card.number", "**.email", 'trailing_metadata["a, b"]')


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("requst.card", "did you mean 'request'?"),
        ("request..card", "column 9"),
        ("request card", "column 8"),
        ("request.items[x]", "column 14"),
        ('request.labels["a]', "column 15"),
        ("card.number", "starts with 'card'"),
        ("", "empty"),
        ("request" + ".a" * 100, "more than 100 steps"),
    ],
)
def test_private_paths_that_are_none_stop_the_start(pattern, told):
    """A path with a slip of the pen would let through what it was to keep."""
    with pytest.raises(SettingsError, match=re.escape(told)):
        Settings(private=(pattern,))


def test_redaction_settings_are_checked():
    environ = {"MIRROR_REDACT": "of", "MIRROR_REDACTION_KEY": "short secret"}
    with pytest.raises(SettingsError) as error:
        Settings.from_env(environ)
    assert "one of auto, on, off; did you mean 'off'?" in str(error.value)
    assert "shorter than 16 characters" in str(error.value)
    assert "short secret" not in str(error.value)
    with pytest.raises(SettingsError, match="redact=off would send them"):
        Settings(redact="off", private=("request.a",))


def test_the_redaction_key_is_shown_nowhere():
    assert "a secret of 16 characters" not in repr(Settings(redaction_key="a secret of 16 characters"))


def test_without_an_endpoint_one_clear_line_and_no_capture(caplog, monkeypatch):
    monkeypatch.delenv("MIRROR_ENDPOINT", raising=False)
    with caplog.at_level(logging.WARNING, "grpc_mirror"):
        interceptor = grpc_mirror.server_interceptor()
    assert "set MIRROR_ENDPOINT=host:port" in caplog.text
    handler = object()
    assert interceptor.intercept_service(lambda _details: handler, None) is handler


@pytest.mark.parametrize(
    ("role", "shadows"), [("", False), ("primary", False), ("candidate", True), (" Secondary", True)]
)
def test_is_shadow_follows_the_deployment(monkeypatch, role, shadows):
    monkeypatch.setenv("MIRROR_ROLE", role)
    shadow.is_shadow.cache_clear()
    assert grpc_mirror.is_shadow() is shadows
    monkeypatch.undo()
    shadow.is_shadow.cache_clear()


def test_is_shadow_refuses_to_guess(monkeypatch):
    monkeypatch.setenv("MIRROR_ROLE", "candidat")
    shadow.is_shadow.cache_clear()
    with pytest.raises(SettingsError, match="did you mean 'candidate'"):
        grpc_mirror.is_shadow()
    monkeypatch.undo()
    shadow.is_shadow.cache_clear()


def test_every_variable_stands_in_the_readme(root):
    readme = Path(root, "interceptors", "README.md").read_text()
    assert [variable for variable in VARIABLES if f"`{variable}`" not in readme] == []
