"""Several questions to one state of the store, while the writer goes on."""

from __future__ import annotations

from mirror.config import Config
from mirror.serve import reports
from mirror.store import Reader, Store
from tests.store.building import RUN, START_S, commit, several


def test_all_answers_of_a_moment_are_of_one_state(store: Store, reader: Reader):
    commit(store, several(3))
    with reader.moment() as same:
        (run,) = same.runs()
        before = same.methods(run.epochs[0].id)[0].counts.pairs
        commit(store, several(4, START_S + 60), START_S + 60)
        assert same.methods(run.epochs[0].id)[0].counts.pairs == before == 3
        assert reader.methods(run.epochs[0].id)[0].counts.pairs == 7
    with reader.moment() as later:
        assert later.methods(run.epochs[0].id)[0].counts.pairs == 7


def test_a_report_is_of_one_moment(store: Store, reader: Reader, monkeypatch):
    """Whatever is committed while it is put together."""
    commit(store, several(3, candidate=["response.a"]))
    clusters = Reader.clusters

    def committing(self, *args, **kwargs):
        commit(store, several(4, START_S + 60, candidate=["response.a"]), START_S + 60)
        return clusters(self, *args, **kwargs)

    monkeypatch.setattr(Reader, "clusters", committing)
    report = reports.find(reader, Config(), RUN, None, START_S + 120)
    paths = report.paths.other + report.paths.differing + report.paths.together
    assert report.methods[0].counts.pairs == 3
    assert {path.triples for path in paths} == {3}
    assert reader.methods(report.epoch.id)[0].counts.pairs == 7
