"""Gymnasium's ``render_mode``, which every environment takes and none but None has a picture for."""

from nasbench_rl.errors import InvalidValueError


def check_render_mode(render_mode: str | None) -> None:
    """Raise InvalidValueError for any mode but None: a design is told in ``info``."""
    if render_mode is not None:
        raise InvalidValueError(
            f"render_mode {render_mode!r}: these environments draw nothing; allowed: None. "
            "info['arch'] names the network"
        )
