"""Seeds that depend on what they are for and on nothing else."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: str | int) -> int:
    """Returns a 63-bit seed for a purpose, such as ``derive_seed("digits-ddpm", "samples", "forget", 0)``.

    Different purposes get unrelated streams, and the same purpose the same stream in every process.
    """
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
