"""Damaged files for the readers of ``tests/damaged_files.py``: ``tests/benchmarks/fuzzing.py 100000 [READER ...]``.

Prints how many were read and refused, and the number and the bytes of each that raised something else, or took over a
second. File number n is the same in every run.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from damaged_files import targets
from made_files import Make

SLOW = 1.0  # seconds of CPU time
LONGEST = 60  # bytes that tell the edits: some ten


def fuzz(name: str, files: int, folder: Path) -> Counter:
    content, read, damaged = targets(folder, Make())[name]
    read(content)  # what is imported at the first time is not counted
    outcomes: Counter = Counter()
    for number in range(files):
        edits = random.Random(number).randbytes(5 + number % LONGEST)
        started = time.process_time()
        try:
            read(damaged(content, edits))
            outcome = "read"
        except ValueError:
            outcome = "refused"
        except Exception as error:
            outcome = type(error).__name__
            print(f"  {name} number {number}: {outcome}: {error}; edits {edits!r}", flush=True)
        if (took := time.process_time() - started) > SLOW:
            print(f"  {name} number {number}: {took:.1f} s; edits {edits!r}", flush=True)
        outcomes[outcome] += 1
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=int)
    parser.add_argument("readers", nargs="*", help="all unless told")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.readers or targets(Path(folder), Make()):
            started = time.process_time()
            outcomes = fuzz(name, asked.files, Path(folder))
            print(f"{name}: {dict(outcomes)}, {time.process_time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
