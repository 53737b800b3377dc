"""The parts of `hostile.py`: `building` makes the bytes, `kinds` says what is compared how, `measuring` does it."""
