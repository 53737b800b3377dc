"""Which policy answers which method: the narrowest pattern wins; what is wrong or ambiguous is refused at the start."""

import re

import grpc_mirror
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_mirror import guard
from grpc_mirror.policies import ALLOW, ASKING_S, BLOCK, Policies, _overlap
from grpc_mirror.settings import SettingsError
from hypothesis import given
from hypothesis import strategies as st

from tests.interceptors.calling import role
from tests.interceptors.echo import SERVICE, Note

STUB = grpc_mirror.stub(Note())
RULES = {"*": BLOCK, "pay.v1.*": STUB, "pay.v1.Pay/*": BLOCK, "pay.v1.Pay/GetBalance": ALLOW, "*/Get*": ALLOW}


@pytest.mark.parametrize(
    ("method", "policy", "why"),
    [
        ("pay.v1.Pay/GetBalance", ALLOW, "the name itself"),
        ("pay.v1.Pay/Charge", BLOCK, "the service"),
        ("pay.v1.Pay/GetCard", BLOCK, "the service has more characters than */Get*"),
        ("pay.v1.Refund/Give", STUB, "the package"),
        ("shop.v1.Shop/GetProduct", ALLOW, "*/Get* against *"),
        ("mail.v1.Mail/Send", BLOCK, "*"),
    ],
)
def test_the_narrowest_pattern_wins(method, policy, why):
    assert Policies(RULES).of(method) == policy, why


def test_a_leading_slash_is_as_good():
    assert Policies({"/pay.v1.Pay/Charge": ALLOW}).of("pay.v1.Pay/Charge") == ALLOW


def test_without_a_rule_the_default_counts_unless_the_method_is_safe_and_that_is_allowed():
    safe = {"is_safe": lambda method: method.endswith("Get")}
    assert Policies({}).of("a.B/Get") == BLOCK
    assert Policies({}, allow_safe=True, **safe).of("a.B/Get") == ALLOW
    assert Policies({}, allow_safe=True, **safe).of("a.B/Set") == BLOCK
    assert Policies({"*": BLOCK}, allow_safe=True, **safe).of("a.B/Get") == BLOCK
    assert Policies({}, default=STUB).of("a.B/Set") == STUB


def test_every_problem_is_told_at_once():
    """With what was meant."""
    with pytest.raises(SettingsError) as error:
        Policies({"pay.v1.Pay": ALLOW, "a b/*": BLOCK, "a.B/C": "alow", "a.B/D": Note()}, default="deny")
    text = str(error.value)
    for told in (
        "did you mean 'pay.v1.Pay/*'?",
        "'a b/*'",
        "did you mean 'allow'?",
        "write stub(...)",
        "default='deny'",
    ):
        assert told in text


@pytest.mark.parametrize(
    ("method", "answer", "told"),
    [
        (
            "Unary",
            Timestamp(),
            "mirrortest.Echo/Unary answers with mirrortest.Note, not with google.protobuf.Timestamp",
        ),
        ("Unary", [Note()], "answers with one mirrortest.Note, not with a list"),
        ("Unary", None, "not with None"),
        ("Bidi", [Note(), Timestamp()], "mirrortest.Echo/Bidi answers with mirrortest.Note, not with google"),
    ],
)
@pytest.mark.parametrize(
    "make", [grpc_mirror.stub, lambda answer: grpc_mirror.recorded(otherwise=grpc_mirror.stub(answer))]
)
def test_a_fixed_answer_of_another_type_stops_the_start(make, method, answer, told):
    with pytest.raises(SettingsError, match=re.escape(told)):
        grpc_mirror.client_interceptor({f"{SERVICE}/{method}": make(answer)}, settings=grpc_mirror.Settings())


def test_answers_that_fit_or_of_which_nothing_is_known_are_let():
    answers = {
        f"{SERVICE}/Unary": Note(),
        f"{SERVICE}/ServerStream": (Note(), Note()),
        f"{SERVICE}/Bidi": Note(),
        f"{SERVICE}/ClientStream": b"raw",
        "not.loaded/Method": Timestamp(),
        "*": Timestamp(),
    }
    policies = {method: grpc_mirror.stub(answer) for method, answer in answers.items()}
    assert grpc_mirror.client_interceptor(policies, settings=grpc_mirror.Settings())


def test_two_patterns_of_equal_width_that_disagree_on_a_common_name_are_refused():
    with pytest.raises(SettingsError, match="equally narrow"):
        Policies({"a.*/Get": ALLOW, "a*.X/Ge*": BLOCK, "*/abcd": ALLOW, "*.B/ab*": BLOCK})
    Policies({"a.B/*": ALLOW, "a.C/*": BLOCK})


_patterns = st.text("ab*", max_size=6)


@given(_patterns, _patterns, st.text("ab", max_size=8))
def test_patterns_that_match_a_common_name_overlap(one, other, name):
    """No name that both match escapes the check; a pattern overlaps with itself."""

    def matches(pattern):
        return re.fullmatch(pattern.replace("*", ".*"), name)

    if matches(one) and matches(other):
        assert _overlap(one, other)
    assert _overlap(one, one)
    assert _overlap(one, other) == _overlap(other, one)


@given(st.text("ab", max_size=5), st.text("ab", max_size=5))
def test_plain_names_overlap_only_with_themselves(one, other):
    assert _overlap(one, other) == (one == other)


def test_a_method_is_safe_where_its_loaded_descriptor_says_so():
    """idempotency_level = NO_SIDE_EFFECTS; IDEMPOTENT is not enough, and a service that is not loaded is not safe."""
    file = descriptor_pb2.FileDescriptorProto(name="mirrortest/safe.proto", package="mirrortest", syntax="proto3")
    file.dependency.append("mirrortest/echo.proto")
    service = file.service.add(name="Safe")
    for name, level in (("Get", 1), ("Put", 2), ("Post", 0)):
        method = service.method.add(name=name, input_type=".mirrortest.Note", output_type=".mirrortest.Note")
        if level:
            method.options.idempotency_level = level
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    safe = [name for name in ("Get", "Put", "Post", "None") if guard.is_safe(f"mirrortest.Safe/{name}")]
    assert safe == ["Get"]
    assert not guard.is_safe("not.Loaded/Get")


def test_settings_and_code_make_one_set_of_rules():
    """A pattern given in code wins over the same one of the environment."""
    settings = grpc_mirror.Settings(outbound_allow=("a.B/*", "a.C/*"))
    found = guard.guard_of(settings, {"a.B/*": BLOCK}, BLOCK)
    assert [found._policies.of(method) for method in ("a.B/X", "a.C/X")] == [BLOCK, ALLOW]


@given(st.floats(0.001, 5.0), st.none() | st.floats(-1.0, 10.0))
def test_a_question_outlasts_neither_its_wait_nor_its_call(wait_s, timeout_s):
    """And the collector has answered before the question is given up."""
    patience = grpc_mirror.recorded(wait_s=wait_s).patience(timeout_s)
    assert patience.wait_s <= wait_s
    assert patience.deadline_s <= wait_s + ASKING_S
    assert patience.wait_s < patience.deadline_s or patience.deadline_s == 0
    if timeout_s is None:
        assert patience.wait_s == pytest.approx(wait_s)
    else:
        assert patience.deadline_s <= max(0.0, timeout_s)


def test_telemetry_passes_in_a_shadow():
    """A shadow's spans and metrics are no side effect of its calls."""
    with role("candidate"):
        interceptor = grpc_mirror.client_interceptor()
        details = type("Details", (), {"method": "/opentelemetry.proto.collector.trace.v1.TraceService/Export"})
        assert interceptor.intercept_unary_unary(lambda *_: "made", details, b"") == "made"
