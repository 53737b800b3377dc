"""From OTLP bytes to the verdict: both shadows wrong alike, and no secondary at all. Neither is quietly taken for a pass."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from grpc_mirror.v1 import attributes as names

from tests.cli.test_waiting import POLICY
from tests.collect.otlp import call_span, capture, request
from tests.collect.process import CollectorProcess, environment
from tests.collect.shop import product_call, schema_span

pytestmark = pytest.mark.live
NOT_FOUND = 5


def not_found(mirror_id: str, role: str):
    """A call that ended without an answer, as an interceptor sends it."""
    data = capture(status_code=NOT_FOUND, messages=[], response_count=0)
    return call_span(mirror_id, role, data=data, **{names.RPC_STATUS.replace(".", "__"): "NOT_FOUND"})


def test_both_shadows_without_their_data_do_not_pass(tmp_path):
    with CollectorProcess(tmp_path, policy=POLICY) as collector:
        for role, version in (("primary", "1.0"), ("candidate", "2.0"), ("secondary", "1.0")):
            spans = [
                product_call(f"m{n}", role, id="x") if role == "primary" else not_found(f"m{n}", role)
                for n in range(1000)
            ]
            collector.export(request(schema_span(), *spans, version=version).SerializeToString())
        collector.until(lambda: collector.pairs() == 1000, "has all pairs")
        found = collector.get("/api/v1/verdict?run=checkout").json()
    assert (found["verdict"], found["triples"], found["unexplained"], found["eta_s"]) == ("inconclusive", 1000, 0, None)
    assert "status_noise" in {one["code"] for one in found["missing"]}


def test_without_a_secondary_page_api_and_command_say_what_cannot_be_known(tmp_path):
    with CollectorProcess(tmp_path, policy=POLICY) as collector:
        for role, version in (("primary", "1.0"), ("candidate", "2.0")):
            spans = [product_call(f"m{n}", role, expect="candidate", id="x") for n in range(1000)]
            collector.export(request(schema_span(), *spans, version=version).SerializeToString())
        collector.until(lambda: collector.pairs() == 1000, "has all pairs")
        found = collector.get("/api/v1/verdict?run=checkout").json()
        page = collector.get("/runs/checkout").text
        command = [sys.executable, "-m", "mirror", "verdict", "--run", "checkout"]
        told = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (found["verdict"], told.returncode) == ("pass", 0)
    for text in (json.dumps(found), page, told.stdout):
        assert "There is no secondary: noise cannot be told from change" in text
        assert "judged by the rules alone" in text
