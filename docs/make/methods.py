"""The methods as one page of Markdown: ``python -m unlearnbench.docs.make.methods`` writes ``docs/methods.md``."""

from __future__ import annotations

import sys
from inspect import cleandoc

from ...benchmark import origin, registry
from ...benchmark.method import Method
from ...benchmark.search_space import Choice, Dimension, LogRange, search_space

_INTRODUCTION = """# Methods

Made by `make docs` from the registry; nothing here is typed by hand. In the update rules `L` is a loss, `g` its gradient, `f`
stands for forget, `r` for retain, `e` for the model's prediction, `c` for a label, `theta` for the weights. What is searched is
what `unlearnbench tune` may set; everything else stays as it is here.
"""

_LEFT_OUT = """## Left out

- **Score Forgetting Distillation** distills the model into a one-step generator while it forgets. What comes out is another
  kind of model, drawn from in one step, so its samples cannot be compared with those of the rest; it needs a track of its own.
- **Moon et al.'s feature unlearning** starts from images that a user marks and edits a latent direction; the problem hands
  out forget sets, not marks.
- **LUR, CUP, MUNBa**: no settings for class-conditional diffusion could be read.
- **BARRIER** protects intervals of activations in named layers; it needs a hook into the network that the problem does not
  offer.
"""

_HEADINGS = {"method": "Methods", "reference": "Reference rows", "cheat": "Cheats, which must rank badly"}
_REBUILT = "- **Rebuilt**: written from descriptions, since neither code nor full text is public"
_CHEATS = """Weights alone are judged. What is wrapped around a model stays behind, so the rows that wrap it (`cheat-noise`,
`cheat-gate` and `cheat-fill`) score what the original scores.
"""


def handbook() -> str:
    """Returns the page: for each built-in method its idea, update rule, needs, settings, deviations and pitfalls."""
    classes = [cls for cls in map(registry.methods.get, registry.methods.names()) if origin.is_builtin(cls)]
    parts = [_INTRODUCTION]
    for role, heading in _HEADINGS.items():
        parts.append(f"## {heading}\n")
        if role == "cheat":
            parts.append(_CHEATS)
        parts += [_entry(cls) for cls in classes if cls.role == role]
    return "\n".join([*parts, _LEFT_OUT])


def _entry(cls: type[Method]) -> str:
    needs = ", ".join(sorted(need.value for need in cls.needs)) or "nothing but the forget set"
    lines = [f"### `{cls.name}`", "", " ".join(cleandoc(cls.__doc__ or "").split()), ""]
    if cls.rebuilt:
        lines += [_REBUILT]
    if cls.paper is not None:
        title = f"[{cls.paper.title}]({cls.paper.url})" if cls.paper.url else cls.paper.title
        lines += [f"- **Paper**: {title}, {cls.paper.venue}"]
    lines += [f"- **Update**: `{cls.update_rule}`", f"- **Needs**: {needs}"]
    settings = [f"`{name} = {field.default!r}`" for name, field in cls.model_fields.items()]
    lines += [f"- **Settings**: {', '.join(settings) + '. ' if settings else ''}{cls.settings_source}"]
    if space := search_space(cls):
        lines += [f"- **Searched**: {', '.join(f'`{name}` {_words(part)}' for name, part in space.items())}"]
    lines += [f"- **Deviation**: {text}" for text in cls.deviations]
    lines += [f"- **Known to fail**: {cls.pitfalls}", ""]
    return "\n".join(lines)


def _words(part: Dimension) -> str:
    if isinstance(part, Choice):
        return " or ".join(f"`{value}`" for value in part.values)
    scale = " (by the logarithm)" if isinstance(part, LogRange) else ""
    return f"{part.low:g} to {part.high:g}{scale}"


if __name__ == "__main__":
    sys.stdout.write(handbook())
