"""`mirror report` and `mirror verdict` of a method of which a share of the calls is looked at."""

import json

import pytest

from tests.cli.test_verdict import mirror
from tests.serve import thinned
from tests.serve.shopdata import METHODS, store_url
from tests.serve.thinned import CALLS, LARGE, LOOKED_AT, MORE, RUN, SILENT


@pytest.fixture(scope="module")
def thin(tmp_path_factory):
    url = store_url(tmp_path_factory.mktemp("thin"))
    thinned.fill(url)
    return url


def test_the_report_says_of_how_many_calls_the_messages_were_looked_at(capsys, monkeypatch, thin):
    code, out, err = mirror(capsys, monkeypatch, "report", "--store", thin)
    assert (code, err) == (0, "")
    told = " ".join(out.split())
    assert f"{LARGE}: {LOOKED_AT} of {CALLS} calls looked at (15%); the others' messages are beyond" in told
    assert f"{METHODS[2]}: " not in told.partition("methods ")[2].partition("paths that differ")[0]
    assert 'raise MIRROR_METHOD_BYTES_PER_S on all replicas (see "Large messages" in interceptors/README.md)' in told
    assert f"{MORE} calls were captured whole by the primary and the secondary and not by the candidate:" in told
    assert f"The candidate did not answer {SILENT} calls that were not sampled." in told


def test_the_verdict_has_both_figures(capsys, monkeypatch, thin):
    code, out, _ = mirror(capsys, monkeypatch, "verdict", "--store", thin, "--run", RUN, "--json")
    assert code == 3
    told = {"method": LARGE, "looked_at": LOOKED_AT, "not_sampled": CALLS - LOOKED_AT}
    assert json.loads(out)["sampled"] == [told]
    _, out, _ = mirror(capsys, monkeypatch, "verdict", "--store", thin, "--run", RUN)
    assert f"Looked at were {LOOKED_AT} of {CALLS} of {LARGE}." in " ".join(out.split())
