"""The errors that a user can cause and mend."""

from __future__ import annotations

import difflib
import errno
import traceback
from collections.abc import Iterable
from pathlib import Path


class BenchmarkError(Exception):
    """A user's mistake or a limit of this machine: one sentence with what is wrong, where, and what to do.

    The command line prints the sentence without a traceback and exits with 2.
    """


class NotApplicable(BenchmarkError):
    """A method and a task that do not fit; the result is "not applicable", which is not a score of zero."""


class NoRecord(BenchmarkError):
    """A run was stopped from outside and left no record; the same command makes it again."""


class Overspent(BenchmarkError):
    """A run took more work than it was allowed to."""


class Diverged(Exception):
    """The edited model holds values that are not finite."""


MOST_NAMES = 40
"""Names that an error lists; of thousands, as timm has, nobody reads the list."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> BenchmarkError:
    """Returns the error for a name that nothing is registered under, with the closest known names first."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    listed = ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {listed or 'none'}."
    return BenchmarkError(f"There is no {kind} named '{name}'; {hint}")


def shortened(names: list[str], most: int = 3) -> str:
    """Returns some names as a part of a sentence."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def cannot_write(path: Path, error: OSError) -> BenchmarkError:
    """Returns the error for a file or folder that the disk or its rights refuse."""
    way_out = "free some space or choose" if error.errno in (errno.ENOSPC, errno.EDQUOT, None) else "choose"
    return BenchmarkError(
        f"{path} could not be written: {error.strerror}; {way_out} another folder, and start again: what is finished is kept."
    )


LONGEST_LINE = 1000
"""Characters of an exception that a record or a message holds."""


def placed_line(error: BaseException, *files: Path) -> str:
    """Returns an exception as one line, with where in some files it came from, if it did.

    Args:
        error: The exception.
        files: Those whose lines a reader can mend.
    """
    places = {file.resolve() for file in files}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() in places]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return first_line(error) + where


def first_line(error: BaseException) -> str:
    """Returns an exception as one line, for a record's reason or a message; of a long one the middle is left out."""
    text = " ".join(str(error).split())
    if len(text) > LONGEST_LINE:
        text = f"{text[: LONGEST_LINE // 2]} … {text[-LONGEST_LINE // 2 :]}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
