"""Contract tests that a method, search space or task inherits: write one class, pytest runs them all.

    from nasbench_rl.testing import MethodContract

    class TestMine(MethodContract):
        def make_method(self):
            return Mine(population=8)

``SpaceContract`` and ``TaskContract`` work the same way, by ``make_space`` and ``make_task``.
"""

from nasbench_rl.errors import missing_extra

try:
    import pytest as _pytest  # noqa: F401
except ImportError:
    raise missing_extra("pytest", "testing", "the contract kit nasbench_rl.testing") from None

from nasbench_rl.testing.handed_out import check_own as check_own
from nasbench_rl.testing.methods import MethodContract as MethodContract
from nasbench_rl.testing.paid import only_paid_scores as only_paid_scores
from nasbench_rl.testing.spaces import SpaceContract as SpaceContract
from nasbench_rl.testing.tasks import TaskContract as TaskContract
from nasbench_rl.testing.watch import sealed_test_split as sealed_test_split
from nasbench_rl.testing.watch import search as search
