"""What all environments share."""

from nasbench_rl.errors import InvalidValueError

ENV_ID = "nasbench_rl/NSC-v0"


def check_render_mode(render_mode: str | None) -> None:
    """Raise InvalidValueError for any of Gymnasium's render modes but None."""
    if render_mode is not None:
        raise InvalidValueError(
            f"render_mode {render_mode!r}: these environments draw nothing; allowed: None. "
            "info['arch'] names the network"
        )
