"""A child process of test_surviving: commits batch after batch until it is killed. Argument: the store's URL."""

import sys
import time

from mirror.store import JudgeOptions, Store
from tests.store.building import commit, judged, several


def main() -> None:
    """Every batch holds 3 matched and 2 mismatched pairs, one of which noise shares."""
    with Store.open(sys.argv[1], judge=JudgeOptions(vote_by="call")) as store:
        print("ready", flush=True)
        for number in range(10**9):
            groups = several(3, named=f"m{number}")
            groups.append(judged(f"a{number}", candidate=["response.a"]))
            groups.append(judged(f"b{number}", candidate=["response.a"], secondary=["response.a"]))
            commit(store, groups, time.time(), keep=True)


if __name__ == "__main__":
    main()
