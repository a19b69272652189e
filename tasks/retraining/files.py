"""The files of a task that the suite makes itself: what they are called, where they lie, which are lacking, their hash."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import ClassVar, Self

from pydantic import PrivateAttr

from ...benchmark.records import places
from ...benchmark.records.assets import AssetFolder
from ...benchmark.records.files import canonical_sha256
from ...benchmark.task import Task
from ..judges import classifiers

ORACLE_SEEDS = (0, 1, 2)


class FilesTask(Task):
    """Has the weights of a base model, of oracles and of judges as files, and the oracles' samples."""

    judge_names: ClassVar[tuple[str, ...]] = tuple(classifiers.ARCHITECTURES)
    """The first one's features serve the distances."""
    judges_from: ClassVar[str] = ""
    """The task of the same data whose judges this one shares; its own if empty."""
    keeps_oracle_samples: ClassVar[bool] = True
    """Whether the oracles' samples are an asset, too, since drawing them takes long."""
    short_compares: ClassVar[bool] = True
    """Whether a short evaluation compares with oracles, too, and so needs their files."""
    _is_short: bool = PrivateAttr(False)
    """Whether the evaluation is that of a search's trials."""

    @abstractmethod
    def request(self) -> str:
        """Returns what is forgotten in a word, for the names of the oracles' files."""

    @property
    def assets(self) -> AssetFolder:
        """The task's files."""
        return AssetFolder(self.name, places.SHIPPED / self.name, self.prepare_command)

    @property
    def judge_assets(self) -> AssetFolder:
        """The files of the judges."""
        owner = self.judges_from or self.name
        return AssetFolder(owner, places.SHIPPED / owner, self.prepare_command if owner == self.name else None)

    @property
    def base_file(self) -> str:
        """The name of the base model's weights."""
        return "base.safetensors"

    def oracle_file(self, seed: int) -> str:
        """Returns the name of an oracle's weights."""
        return f"oracle-{self.request()}-{seed}.safetensors"

    @property
    def oracle_samples_file(self) -> str:
        """The name of the file with the oracles' samples."""
        return f"oracle-{self.request()}-samples.safetensors"

    def wanted_judges(self) -> list[str]:
        """Returns the judges as ``load_judge`` takes them."""
        return list(self.judge_names)

    def own_judges(self) -> list[str]:
        """Returns the names of the judges that are trained by ``prepare`` and kept as assets."""
        return list(self.judge_names)

    def short(self) -> Self:
        """See ``Task.short``."""
        found = self.model_copy()
        found._is_short = True
        return found

    @property
    def oracle_seeds(self) -> tuple[int, ...]:
        """The oracles that a model is compared with; in a search's trials most often none."""
        return () if self._is_short and not self.short_compares else ORACLE_SEEDS

    def prepare_command(self, settings: Collection[str] | None = None) -> str:
        """See ``Task.prepare_command``: where no oracles are compared with, none is made."""
        found = super().prepare_command(settings)
        return found if self.oracle_seeds else f"{found} --short"

    def files(self) -> list[str]:
        """Returns the names of all files that the task is made of beside the judges'."""
        oracles = [self.oracle_file(seed) for seed in self.oracle_seeds]
        samples = [self.oracle_samples_file] if oracles and self.keeps_oracle_samples else []
        return [self.base_file, *oracles, *samples]

    def judge_files(self) -> list[str]:
        """Returns the names of the files of the judges that are kept as assets."""
        return [judge_file(name) for name in self.own_judges()]

    def missing(self) -> list[str]:
        """See ``Task.missing``."""
        lacking = [name for name in self._not_at_hand() if not self._by_its_numbers(name)]
        return self._lacks([*lacking, *(name for name in self.judge_files() if not self.judge_assets.has(name))])

    def missing_oracles(self) -> list[str]:
        """See ``Task.missing_oracles``."""
        return self._lacks([name for name in self._not_at_hand() if self._by_its_numbers(name)])

    def _not_at_hand(self) -> list[str]:
        return [name for name in self.files() if not self.assets.has(name)]

    def _lacks(self, names: list[str]) -> list[str]:
        return [f"The task '{self.name}' lacks {', '.join(names)}; run `{self.prepare_command()}`."] if names else []

    def _by_its_numbers(self, name: str) -> bool:
        """Whether an oracle's samples and records stand for its weights, which the package has no room for."""
        return self.keeps_oracle_samples and name != self.base_file and self.assets.is_known(name)

    def assets_sha256(self) -> str:
        """See ``Task.assets_sha256``."""
        return self._hash_of(self.files())

    def shared_assets_sha256(self) -> str:
        """See ``Task.shared_assets_sha256``: of base model and judges."""
        return self._hash_of([self.base_file])

    def _hash_of(self, files: list[str]) -> str:
        judges = {name: self.judge_assets.entry(name).sha256 for name in self.judge_files()}
        return canonical_sha256(judges | {name: self.assets.entry(name).sha256 for name in files})


def judge_file(name: str) -> str:
    """Returns the name of a judge's weights among the assets."""
    return f"judge-{name}.safetensors"
