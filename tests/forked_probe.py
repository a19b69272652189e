"""A program for the fork server: runs the Python that it reads from standard input; ``tell`` answers in JSON."""

import json
import sys


def main() -> int:
    code = json.loads(sys.stdin.readline())

    def tell(what):
        sys.stdout.write(json.dumps(what) + "\n")

    exec(code, {"tell": tell})
    return 0
