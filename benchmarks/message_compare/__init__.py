"""The parts of `compare.py`: `cases` are what is compared, `peer` is C++, `methods` are ours and Python's, `promises` judges."""
