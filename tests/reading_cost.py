"""``python reading_cost.py < CASES``: what it costs to read each file, a line an answer; both are JSON.

The parent has imported everything and read a valid file of each kind. A child is forked for each case, so that its
memory begins at a known size, and no other test, thread or allocator has a part in what is measured.
"""

import json
import os
import re
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

STATUS = Path("/proc/self/status")
MOST_SECONDS, MOST_BYTES = 5, 2 << 30  # at which a child is ended: what is wrong stays harmless


class Cost(NamedTuple):
    """What became of a file."""

    told: str  # the message of the ValueError; of another error its name; empty where the file was read
    seconds: float  # of CPU time
    bytes: int  # most memory beyond that of the process before


def _memory(name: str) -> int:
    """A line of this process's status, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def _measured(read: Any, path: Path) -> Cost:
    before, began = _memory("VmRSS"), resource.getrusage(resource.RUSAGE_SELF)
    try:
        read(path)
        told = ""
    except ValueError as error:
        told = f"ValueError: {error}"
    except BaseException as error:
        told = f"{type(error).__name__}: {error}"
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime - began.ru_utime - began.ru_stime
    return Cost(told[:1000], seconds, _memory("VmHWM") - before)


def _in_a_child(read: Any, path: Path) -> list[Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
        with os.fdopen(writing, "w") as answer:
            json.dump(_measured(read, path), answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        told = answer.read()
    status = os.waitpid(child, 0)[1]
    return json.loads(told) if told else [f"ended with status {status}", 0.0, 0]


def main() -> None:
    from damaged_files import readers, targets
    from made_files import Make

    with tempfile.TemporaryDirectory() as folder:
        for target in targets(Path(folder), Make()).values():
            target.read(target.content)
    known = readers()
    for kind, path in json.load(sys.stdin):
        sys.stdout.write(json.dumps(_in_a_child(known[kind], Path(path))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
