"""Pages from templates: people write the sentences, programs fill in numbers and tables."""

from __future__ import annotations

from importlib import resources
from typing import Any

from nasbench_rl._utils import text
from nasbench_rl.errors import missing_extra

_FILTERS = (text.show, text.fixed, text.percent)


def render(package: str, name: str, **values: Any) -> str:
    """Fill in ``templates/<name>`` of a package.

    Templates have the filters ``show``, ``fixed`` and ``percent``, and the functions ``estimate``, ``plus_minus`` and
    ``markdown_table`` of ``_utils.text``. A name that is not defined is an error.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise missing_extra("jinja2", "report", "writing a page") from error
    folder = resources.files(package) / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda one: (folder / one).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {one.__name__: one for one in _FILTERS}
    environment.globals |= {one.__name__: one for one in (text.estimate, text.plus_minus, text.markdown_table)}
    return environment.get_template(name).render(**values)
