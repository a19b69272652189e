"""Files of the Hugging Face Hub: fetched once, found again without a network, and one sentence when neither works."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...benchmark.errors import BenchmarkError, first_line


def fetch_file(repo: str, file: str, *, revision: str | None = None, download: bool, way_out: str) -> Path:
    """Returns a file of a model repository, from the hub's cache or from the hub.

    Args:
        repo: ``owner/name``.
        file: Path inside the repository.
        revision: A commit, for a pinned file.
        download: Whether to ask the hub; without it, only files that were fetched before are found.
        way_out: What to do instead, as the end of a sentence.

    Raises:
        BenchmarkError: It cannot be had.
    """
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo, file, revision=revision, local_files_only=not download))
    # The hub, the network and the disk fail in many ways; the sentence tells those apart that have ways out of their own.
    except Exception as error:  # noqa: BLE001
        raise refusal(f"{file} of {repo}", error, way_out) from None


def fetch_folder(repo: str, patterns: Sequence[str], *, revision: str | None, download: bool, way_out: str) -> Path:
    """Returns a folder with some files of a model repository; see ``fetch_file``.

    Raises:
        BenchmarkError: It cannot be had.
    """
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(repo, revision=revision, allow_patterns=list(patterns), local_files_only=not download)
        return Path(str(found))
    # As for a single file.
    except Exception as error:  # noqa: BLE001
        raise refusal(repo, error, way_out) from None


def refusal(what: str, error: Exception, way_out: str) -> BenchmarkError:
    """Returns the sentence for a failed request to the hub.

    Args:
        what: What was asked for.
        error: What the hub's client, or ``datasets``, raised.
        way_out: What to do when the hub cannot be reached, as the end of a sentence.
    """
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    codes = {getattr(getattr(one, "response", None), "status_code", None) for one in causes}
    text = " ".join(str(one) for one in causes).lower()
    if any(isinstance(one, GatedRepoError) for one in causes) or "gated" in text or codes & {401, 403}:
        return BenchmarkError(
            f"{what} is gated on the hub or asks for a login: accept its terms on huggingface.co/{_repository(what)} and "
            f"log in with `hf auth login`, or {way_out}."
        )
    if any(isinstance(one, RevisionNotFoundError) for one in causes):
        return BenchmarkError(f"{what} has no such revision on the hub ({first_line(error)}); {way_out}.")
    if any(isinstance(one, RepositoryNotFoundError) for one in causes) or 404 in codes:
        return BenchmarkError(f"{what} is not on the hub ({first_line(error)[:120]}); check the name, or {way_out}.")
    return BenchmarkError(
        f"{what} cannot be fetched from the hub ({first_line(error)[:160]}); be online, or {way_out}."
    )


def _repository(what: str) -> str:
    name = what.rpartition(" ")[2]
    return f"datasets/{name}" if what.startswith("The data set") else name
