"""Makes ``nasbench_rl/NSC-v0`` known to Gymnasium, whichever of the two packages is imported first.

Gymnasium loads no plugins, and importing it from here takes ten times as long as ``nasbench_rl`` itself, which most
programs want for its tables.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def register_environments() -> None:
    """Now where Gymnasium is imported already, else as soon as it is."""
    if sys.modules.get("gymnasium") is not None:
        import nasbench_rl.envs  # noqa: F401  (registers them, and loads none)
    else:
        sys.meta_path.insert(0, _GymnasiumFinder())


class _GymnasiumFinder:  # in form an importlib.abc.MetaPathFinder, whose module would be loaded for it
    """Finds Gymnasium as the other finders do, with a loader that registers behind its import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See ``importlib.abc.MetaPathFinder``."""
        if fullname != "gymnasium":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((found for finder in others if (found := finder.find_spec(fullname, path, target))), None)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_register(module: ModuleType) -> None:
            load(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            import nasbench_rl.envs  # noqa: F401

        spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
