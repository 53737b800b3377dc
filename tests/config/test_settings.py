"""Settings: defaults, units, the environment over the file, and every mistake at once with its place."""

from __future__ import annotations

from dataclasses import fields

import pytest
from pydantic import ValidationError

from mirror.config import Config, admission, load
from mirror.config.env import variables
from mirror.config.sections import PolicySettings
from mirror.core.policy import Policy
from tests.config.files import loaded, problems


def test_without_a_file_all_is_default():
    """And so is an instance made by hand."""
    config = load(None, {})
    assert config == Config()
    assert config.listen.web == "127.0.0.1:4319"
    assert config.policy == Policy()
    assert not config.rules.rules


def test_a_configuration_cannot_change():
    """Frozen all the way."""
    with pytest.raises(ValidationError):
        Config().store.url = "sqlite:///other.db"  # type: ignore[misc]


def test_the_policy_has_a_setting_for_each_of_its_fields():
    """With the core's defaults: they are declared once."""
    names = [field.name for field in fields(Policy)]
    assert list(PolicySettings.model_fields) == names
    assert Policy(**dict(PolicySettings())) == Policy()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("5s", 5), ("250ms", 0.25), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("7", 7), ("0.5", 0.5)],
)
def test_durations(tmp_path, written, seconds):
    """With a unit, or seconds."""
    assert loaded(tmp_path, f"pairing: {{retry_margin_s: {written}}}").pairing.retry_margin_s == seconds


@pytest.mark.parametrize(("written", "size"), [("16MiB", 16 << 20), ("512 KiB", 512 << 10), ("1GB", 10**9), ("7", 7)])
def test_sizes(tmp_path, written, size):
    """With a unit, or bytes."""
    assert loaded(tmp_path, f"intake: {{message_max_bytes: {written}}}").intake.message_max_bytes == size


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lisen: {}", 'mirror.yaml:1:1: unknown key "lisen"; did you mean "listen"?'),
        ("listen: {otlp_grcp: x}", 'mirror.yaml:1:10: unknown key "otlp_grcp"; did you mean "otlp_grpc"?'),
        ("listen: 5", "mirror.yaml:1:9: listen: expected settings, one `name: value` a line"),
        (
            "listen: {web: localhost}",
            (
                "mirror.yaml:1:15: web: not an address; say host:port, like 127.0.0.1:4317 or "
                "[::1]:4317, port 0 for any free one"
            ),
        ),
        (
            "listen: {web: 'a:70000'}",
            (
                "mirror.yaml:1:15: web: not an address; say host:port, like 127.0.0.1:4317 or "
                "[::1]:4317, port 0 for any free one"
            ),
        ),
        ("runs: shop", "mirror.yaml:1:7: runs: expected a list, like [a, b]"),
        (
            "runs: [a/b]",
            (
                "mirror.yaml:1:8: not a run's name; use up to 63 letters, digits, '.', '_' and '-', a letter or "
                "digit first"
            ),
        ),
        ("runs: [1]", "mirror.yaml:1:8: expected text"),
        ("compare: {status_message: 1}", "mirror.yaml:1:27: status_message: expected true or false"),
        ("compare: {differences_max: 0}", "mirror.yaml:1:28: differences_max: must be at least 1"),
        ("compare: {differences_max: 1.5}", "mirror.yaml:1:28: differences_max: expected a whole number"),
        (
            "store: {url: 'mysql://x'}",
            "mirror.yaml:1:14: url: not a store; say sqlite:///mirror.db or postgresql://user@host/database",
        ),
        ("store: {payload_keep_per_minute: -1}", "mirror.yaml:1:34: payload_keep_per_minute: cannot be negative"),
        (
            "pairing: {batch_age_s: 5 parsecs}",
            "mirror.yaml:1:24: batch_age_s: not a duration; say 250ms, 5s, 30m, 2h, or a number of seconds",
        ),
        (
            "pairing: {batch_age_s: .inf}",
            "mirror.yaml:1:24: batch_age_s: not a duration; say 250ms, 5s, 30m, 2h, or a number of seconds",
        ),
        ("pairing: {batch_age_s: -1}", "mirror.yaml:1:24: batch_age_s: a duration cannot be negative"),
        (
            "intake: {queue_max_bytes: true}",
            "mirror.yaml:1:27: queue_max_bytes: not a size; say 16MiB, 512KiB, or a number of bytes above 0",
        ),
        (
            "forward: {endpoint: 'https:'}",
            (
                "mirror.yaml:1:21: endpoint: not an endpoint; say host:port for OTLP over gRPC or "
                "http://host:port for OTLP over HTTP"
            ),
        ),
        ("runs: []", "mirror.yaml:1:7: runs: needs at least 1"),
        ("policy: {budget: 0}", "mirror.yaml:1:18: budget: must be above 0"),
        ("policy: {vote_by: minutes}", 'mirror.yaml:1:19: vote_by: unknown value "minutes"; did you mean "minute"?'),
        ("policy: {required_methods: [x.Y/*]}", "mirror.yaml:1:29: a method in full, without *: shop.v1.Shop/Checkout"),
        (
            "web: {url: mirror}",
            "mirror.yaml:1:12: url: not a web address; say https://host or http://host:port",
        ),
        (
            "web: {trace_url: 'https://jaeger/trace'}",
            "mirror.yaml:1:18: trace_url: where the trace's ID goes is missing; say https://host/trace/{trace_id}",
        ),
        (
            "web: {trace_url: 'javascript:{trace_id}'}",
            "mirror.yaml:1:18: trace_url: not a web address; say https://host or http://host:port",
        ),
    ],
)
def test_a_mistake_has_its_place_and_says_what_to_do(tmp_path, text, said):
    """One line each."""
    assert problems(tmp_path, text) == [said]


def test_all_mistakes_at_once_in_the_order_of_the_file(tmp_path):
    """Settings, rules and environment together."""
    text = """\
        runs: [shop]
        listen: {wep: "a:1"}
        rules:
          - {type: ignor, path: response.x}
        policy: {alpha_fail: 2}
        """
    assert problems(tmp_path, text, {"MIRROR_STORE_URL": "mysql://x"}) == [
        "MIRROR_STORE_URL: url: not a store; say sqlite:///mirror.db or postgresql://user@host/database",
        'mirror.yaml:2:10: unknown key "wep"; did you mean "web"?',
        'mirror.yaml:4:12: unknown rule type "ignor"; did you mean "ignore"?',
        "mirror.yaml:5:22: alpha_fail: must be below 1",
    ]


def test_the_environment_wins_over_the_file(tmp_path):
    """Lists by commas, numbers and truth values as in YAML, text as it is."""
    env = {
        "MIRROR_RUNS": "a, b",
        "MIRROR_LISTEN_WEB": "0.0.0.0:80",
        "MIRROR_PAIRING_BATCH_AGE_S": "250ms",
        "MIRROR_COMPARE_DIFFERENCES_MAX": "7",
        "MIRROR_FORWARD_MATCHED": "true",
        "MIRROR_POLICY_BUDGET": "0.01",
        "MIRROR_ROLE": "candidate",
        "MIRROR_BATCH_AGE_S": "1",
        "MIRROR_STORE_PORT": "tcp://10.0.0.1:80",
    }
    config = loaded(tmp_path, "listen: {web: 'a:1', otlp_grpc: 'b:2'}\nruns: [c]", env)
    assert config.runs == ("a", "b")
    assert (config.listen.web, config.listen.otlp_grpc) == ("0.0.0.0:80", "b:2")
    assert config.pairing.batch_age_s == 0.25
    assert config.compare.differences_max == 7
    assert config.forward.matched is True
    assert config.policy.budget == 0.01


def test_a_misspelt_variable_is_refused(tmp_path):
    """It would be silently without effect."""
    assert problems(tmp_path, "", {"MIRROR_RUN": "x"}) == ['MIRROR_RUN: no such setting; did you mean "MIRROR_RUNS"?']
    assert problems(tmp_path, "", {"MIRROR_STORE_ULR": "x"}) == [
        'MIRROR_STORE_ULR: no such setting; did you mean "MIRROR_STORE_URL"?'
    ]


def test_a_variable_of_the_wrong_type_is_named():
    """Its name stands in the place of a line."""
    with pytest.raises(Exception, match="MIRROR_COMPARE_DIFFERENCES_MAX: differences_max: expected a whole number"):
        load(None, {"MIRROR_COMPARE_DIFFERENCES_MAX": "many"})


def test_every_setting_has_its_variable():
    """Names follow the path of the setting."""
    assert variables()["MIRROR_LISTEN_OTLP_GRPC"] == ("listen", "otlp_grpc")
    assert "MIRROR_RULES" not in variables()


def test_who_sends_calls_for_a_name_that_no_run_can_have_is_not_told_to_allow_it():
    assert admission(["checkout-v2", "b"]) == "add them to `runs`, or mend x-mirror-run"
    assert admission(["b"]) == "add it to `runs`, or mend x-mirror-run"
    assert admission(["fine", "Überprüfung"]).startswith(
        "mend x-mirror-run: no run can be called 'Überprüfung'; use up to 63"
    )
