"""`mirror verdict`: its exit code is the verdict, its words say why; in a pipe nothing is cut."""

import json

import pytest

from mirror.cli.app import main
from mirror.store import Store
from tests.serve.shopdata import fill, store_url

RUN = "checkout-rewrite"


def mirror(capsys, monkeypatch, *arguments):
    """Run the command line; returns exit code, standard output and standard error."""
    monkeypatch.setattr("sys.argv", ["mirror", *arguments])
    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    made = store_url(tmp_path_factory.mktemp("store"))
    fill(made, requests=3_000, minutes=20)
    return made


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No mirror.yaml in the current folder."""
    monkeypatch.chdir(tmp_path)


def test_fail_is_1_with_every_reason_and_where_to_read_on(capsys, monkeypatch, url):
    code, out, _ = mirror(capsys, monkeypatch, "verdict", "--store", url, "--run", RUN)
    assert code == 1
    assert out.startswith(f"FAIL  run {RUN}, shop 1.8.2 -> 2.0.0-rc2")
    assert "shop.v1.Shop/GetOrder: response.labels[*] (missing) is regressed" in out
    assert f"http://127.0.0.1:4319/runs/{RUN}?epoch=" in out
    assert "\x1b" not in out


def test_json_is_the_answer_of_the_api(capsys, monkeypatch, url):
    code, out, _ = mirror(capsys, monkeypatch, "verdict", "--store", url, "--run", RUN, "--json")
    found = json.loads(out)
    assert (code, found["verdict"], found["service"]) == (1, "fail", "shop")
    assert set(found) >= {"reasons", "missing", "blind_spots", "eta_s", "bound", "unexplained", "triples"}


def test_an_allowed_run_that_was_not_seen_yet_is_inconclusive(capsys, monkeypatch, url):
    monkeypatch.setenv("MIRROR_RUNS", "java-21")
    code, out, _ = mirror(capsys, monkeypatch, "verdict", "--store", url, "--run", "java-21")
    assert code == 3
    assert "No pair of run 'java-21' has been seen yet" in out


def test_an_older_epoch_can_be_asked_for(capsys, monkeypatch, url):
    _, out, _ = mirror(capsys, monkeypatch, "verdict", "--store", url, "--run", RUN, "--epoch", "1", "--json")
    assert json.loads(out)["candidate_version"] == "2.0.0-rc1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--run", "chekout-rewrite"], "Did you mean 'checkout-rewrite'?"),
        (["--run", RUN, "--epoch", "99"], "has no epoch 99. Its epochs: "),
    ],
)
def test_what_is_not_there_is_2_with_what_there_is(capsys, monkeypatch, url, arguments, told):
    code, _, err = mirror(capsys, monkeypatch, "verdict", "--store", url, *arguments)
    assert code == 2
    assert told in err


def test_a_missing_store_says_where_it_looked_and_makes_none(capsys, monkeypatch, tmp_path):
    wanted = tmp_path / "gone.db"
    code, _, err = mirror(capsys, monkeypatch, "verdict", "--store", f"sqlite:///{wanted}", "--run", RUN)
    assert code == 2
    assert str(wanted) in err
    assert not wanted.exists()


def test_a_wrong_configuration_is_2_with_its_place(capsys, monkeypatch, tmp_path):
    (tmp_path / "mirror.yaml").write_text("runz: [a]\n")
    code, _, err = mirror(capsys, monkeypatch, "verdict", "--run", RUN)
    assert code == 2
    assert 'did you mean "runs"' in err


def test_the_policy_and_the_store_come_from_the_configuration(capsys, monkeypatch, tmp_path, url):
    (tmp_path / "mirror.yaml").write_text(f"store: {{url: '{url}'}}\nweb: {{url: 'https://mirror.example'}}\n")
    code, out, _ = mirror(capsys, monkeypatch, "verdict", "--run", RUN)
    assert code == 1
    assert f"https://mirror.example/runs/{RUN}" in out


def test_a_store_without_runs_is_inconclusive_for_an_allowed_run(capsys, monkeypatch, tmp_path):
    with Store.open(store_url(tmp_path)):
        pass
    code, _, _ = mirror(capsys, monkeypatch, "verdict", "--store", store_url(tmp_path), "--run", "default")
    assert code == 3
