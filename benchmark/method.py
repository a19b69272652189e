"""What a method is: a configuration, what it needs, and one ``unlearn``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, model_validator

from .needs import Need

if TYPE_CHECKING:
    from .problem import Problem


class Paper(NamedTuple):
    """Where a method was published."""

    title: str
    venue: str
    url: str = ""


class Method(BaseModel, ABC):
    """An unlearning method: a plugin of a few lines.

    A subclass states its settings as typed fields with defaults (an unknown setting is an error), the class attributes
    below, and ``unlearn``. It edits the weights of ``problem.model`` in place: they alone are judged, loaded into a fresh
    network, and whatever is put around them stays behind. It never asks which task it runs on, and it never touches a clock:
    everything inside ``unlearn`` is timed.

    Example::

        class GradientAscent(Method):
            '''Climbs the training loss of the forget set.'''

            name = "ascent"
            lr: float = 1e-4
            steps: int = 20

            def unlearn(self, problem: Problem) -> None:
                optimizer = Adam(problem.model.parameters(), lr=self.lr)
                for forget in problem.batches("forget", self.steps):
                    descend(optimizer, -problem.loss(forget).mean())
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True, protected_namespaces=()
    )

    name: ClassVar[str]
    """The registered name, as on the command line: lower case, words joined by hyphens. A built-in's is its file's."""
    role: ClassVar[Literal["method", "reference", "cheat"]] = "method"
    """``reference`` and ``cheat`` rows frame the board: what nothing and what retraining reaches, and what must rank badly."""
    needs: ClassVar[frozenset[Need]] = frozenset()
    """What the harness must find in a problem; a pair that does not fit is refused."""
    paper: ClassVar[Paper | None] = None
    """Where the method was published."""
    update_rule: ClassVar[str] = ""
    """One step, as a formula in plain text. ``L`` is a loss, ``g`` its gradient, ``f`` forget, ``r`` retain."""
    settings_source: ClassVar[str] = ""
    """Where the defaults come from."""
    deviations: ClassVar[tuple[str, ...]] = ()
    """Each way in which this differs from the paper or from its released code."""
    pitfalls: ClassVar[str] = ""
    """How it is known to fail."""
    rebuilt: ClassVar[bool] = False
    """Whether it was written from descriptions, since neither code nor full text of its paper is public."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        """Settings that most methods share: no method takes minus five steps."""
        for name, least in (("steps", 0), ("lr", 0)):
            value = getattr(self, name, None)
            if isinstance(value, int | float) and (value < least or isinstance(value, bool)):
                raise ValueError(f"'{name}' cannot be {value!r}")
        return self

    @abstractmethod
    def unlearn(self, problem: Problem) -> None:
        """Makes ``problem.model`` forget.

        Args:
            problem: The model, the data, the training loss and nothing else.
        """
