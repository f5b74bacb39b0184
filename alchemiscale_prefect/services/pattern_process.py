"""A program of its own: looks for regular expressions in texts, and is ended by the system where that takes too long.

Python's `re` cannot be told to stop, and holds the interpreter's lock while it searches. Reads one JSON document,
``{"patterns": […], "texts": […], "seconds": for each pattern, "budget": for all of them}``, and writes a line for each
pattern: ``[error or null, [indices of the texts that it is found in], seconds used so far]``. Imports nothing of the
package: it must start fast.
"""

import json
import re
import signal
import sys
import time

_LEAST_SECONDS = 0.001


def main() -> None:
    """Answer what was asked."""
    asked = json.load(sys.stdin)
    for pattern in asked["patterns"]:
        # nobody handles the signal: its time (of the processor, so that a busy machine does no harm) ends the process
        left = min(asked["seconds"], asked["budget"] - time.process_time())
        signal.setitimer(signal.ITIMER_VIRTUAL, max(left, _LEAST_SECONDS))
        error, found = None, []
        try:
            search = re.compile(pattern).search
            found = [index for index, text in enumerate(asked["texts"]) if search(text)]
        except (re.error, OverflowError, RecursionError) as refused:
            error = str(refused)
        sys.stdout.write(json.dumps([error, found, time.process_time()]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
