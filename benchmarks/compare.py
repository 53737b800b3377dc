"""Nanoseconds a leaf of comparing two messages: ours against C++ MessageDifferencer, `==`, dictionaries and deepdiff.

Shapes: S 10 leaves, M 100 (three deep, lists, maps), L 10,000. Situations: the same bytes; the same message from other bytes
(`reordered`); one leaf differs; 5% of the leaves do (of S: one). Dynamic messages on both sides, parsed before any clock starts.

What is timed:
  C++           MessageDifferencer.Compare where the two are equal, Compare with a reporter that counts where they are not
  ours          Comparer().compare, keeping `.count`; the comparer and its plans are made once, and it is told how many bytes
                the two were parsed from, as the collector tells it
  +differences  the same, and `.differences` is read: at most `differences_max` (100) are kept
  +50 rules     as ours, with rules at paths where none of the messages has a field
  upb ==        a yes or no, in C
  dict ==       MessageToDict of both, and `==`
  deepdiff      MessageToDict of both, and DeepDiff; not run where it is not installed

The peer is built from `../shared/benchmarks/message_compare` (into `.tools`). It takes for each method the best of five repeats, each of
as many passes over all pairs as fill 80 ms; so do we, with the cyclic garbage collector off while the clock runs, as timeit
does. In each round the peer and ours take turns, case by case; within ours the methods do, repeat by repeat. A figure is the
best of the rounds; a ratio is one best to another. Dictionaries and deepdiff see a sample of the pairs, in the first round
only. Each method is first asked for the number of differences that gen.py made: a wrong one ends the run. On a machine whose
speed wavers, one round says little; `--json FILE` keeps them all.

Without the peer, or without what building it needs, nothing is measured: one line says why, and the exit code is 0, unless
MIRROR_REQUIRE names `message-compare`.

Usage: python benchmarks/compare.py [--rounds 5] [--shapes SML] [--json FILE] [--check]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import google.protobuf
from google.protobuf.internal import api_implementation
from message_compare import methods, peer, promises
from message_compare.cases import SHAPES, Case, Pair, cases, load

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT.parent / "shared/benchmarks/message_compare"
TOOLS = ROOT / ".tools/message_compare"


def letters(text: str) -> str:
    """`SM`, `s,m` or `L` as letters of shapes; raises ArgumentTypeError."""
    found = "".join(text.upper().replace(",", "").split())
    known = "".join(shape.letter for shape in SHAPES)
    if not found or set(found) - set(known):
        raise argparse.ArgumentTypeError(f"{text!r} is not made of {known}")
    return found


def positive(text: str) -> int:
    """A number of rounds; raises ArgumentTypeError."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--shapes", type=letters, default="SML", help="which, by letter")
    parser.add_argument("--json", type=Path, help="write figures and promises to this file")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a promise is missed")
    return parser.parse_args(given)


def progress(text: str) -> None:
    """Say on a terminal what is going on, over what was said before."""
    if sys.stderr.isatty():
        print(f"\r{text:<40}\r", end="", file=sys.stderr, flush=True)


def one_turn(case: Case, pairs: list[Pair], run: dict[str, methods.Pass], folder: Path) -> dict[str, float]:
    """The peer, then ours: nanoseconds a pair by method."""
    return {"cpp": peer.times(folder, case.name)[promises.cpp_method(case)]} | methods.ns_a_pair(run, pairs)


def measure(folder: Path, wanted: list[Case], rounds: int) -> list[promises.Row]:
    """All rounds. Raises BrokenError of the peer, and WrongError where a method finds something else than was made."""
    loaded = load(folder, wanted)
    fast, slow = methods.fast(), methods.slow()
    rows = {case: promises.Row(case, len(pairs), {}) for case, pairs in loaded.items()}
    for round_ in range(rounds):
        for case, pairs in loaded.items():
            progress(f"round {round_ + 1} of {rounds}: {case.name}")
            if not round_:
                methods.verify(case, pairs, fast | slow)
            found = one_turn(case, pairs, fast, folder)
            if not round_:
                found |= methods.ns_a_pair(slow, pairs[: case.shape.sample])
            for name, ns in found.items():
                rows[case].rounds.setdefault(name, []).append(ns)
    progress("")
    return list(rows.values())


def main(given: list[str] | None = None) -> int:
    """Build, measure, print; the exit code."""
    options = arguments(given)
    try:
        folder = peer.ready(SOURCE, TOOLS)
        rows = measure(folder, cases(options.shapes), options.rounds)
    except peer.AbsentError as reason:
        print(f"compare: not measured: {reason}", file=sys.stderr)
        return int("message-compare" in os.environ.get("MIRROR_REQUIRE", "").split(","))
    except (peer.BrokenError, methods.WrongError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    made = promises.promises(rows)
    ours = f"protobuf {google.protobuf.__version__} ({api_implementation.Type()})"
    versions = f"{ours} against libprotobuf {peer.version(folder)}"
    print(f"ns a leaf, best of {options.rounds} round(s); the last three columns are ratios. {versions}")
    print("\n".join(promises.figures_table(rows)))
    if methods.deepdiff() is None:
        print("deepdiff was not run: it is not installed (pip install -c constraints.txt deepdiff)")
    print()
    print("\n".join(promises.promises_table(made)))
    if options.json:
        said = {"rounds": options.rounds, "versions": versions, **promises.as_json(rows, made)}
        options.json.write_text(json.dumps(said, indent=2) + "\n")
    return int(options.check and not all(one.held for one in made))


if __name__ == "__main__":
    sys.exit(main())
