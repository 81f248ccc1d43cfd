"""The contract of a search space."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from nasbench_rl.errors import InvalidArchitectureError, InvalidValueError, NotEnumerableError
from nasbench_rl.spaces.base import Architecture, SearchSpace, size_of
from nasbench_rl.testing.handed_out import check_own
from nasbench_rl.testing.watch import global_state


class SpaceContract:
    """What every search space keeps. Inherit, and give ``make_space``.

    Attributes:
        samples: architectures drawn where the space is too large to go through.
        neighbours_symmetric: whether an edit can always be taken back; False needs a reason in the space's docstring.
    """

    samples = 60
    neighbours_symmetric = True

    def make_space(self) -> SearchSpace:
        """Return the space under test."""
        raise NotImplementedError("a SpaceContract needs make_space()")

    def _some(self, space: SearchSpace) -> list[Architecture]:
        """Return all architectures of a small space, some of a large one."""
        if size_of(space) <= self.samples:
            return list(space)
        return [space.sample(np.random.default_rng(i)) for i in range(self.samples)]

    def test_index_and_item_are_inverse(self) -> None:
        """Over the whole space, or drawn positions of a large one; outside there is an IndexError."""
        space = self.make_space()
        if size_of(space) == float("inf"):
            for ask in (lambda: len(space), lambda: space[0], lambda: space.index(self._some(space)[0])):
                with pytest.raises(NotEnumerableError):
                    ask()
            return
        size = len(space)
        ends = {0, 1, size - 1, *np.random.default_rng(0).integers(size, size=self.samples).tolist()}
        for index in range(size) if size <= self.samples else sorted(ends):
            assert space.index(space[index]) == index
        if size <= self.samples:
            assert [arch.name for arch in space] == [space[i].name for i in range(size)]
            assert len({arch.name for arch in space}) == size, "two architectures share a name"
        for outside in (size, -1):
            with pytest.raises(IndexError):
                space[outside]

    def test_every_form_is_parsed_to_the_same_architecture(self) -> None:
        """Choices as tuple and list, the canonical string, the Architecture itself; it pickles and hashes."""
        space = self.make_space()
        for arch in self._some(space):
            assert arch.space == space.name and str(arch) == arch.name
            for form in (arch.choices, list(arch.choices), arch.name, arch, pickle.loads(pickle.dumps(arch))):
                assert space.parse(form) == arch, f"{form!r} is parsed to {space.parse(form)!r}, not {arch!r}"
            assert arch in space and len({arch, space.parse(arch.name)}) == 1

    def test_what_is_no_architecture_is_refused(self) -> None:
        """By InvalidArchitectureError, never by another exception."""
        space = self.make_space()
        foreign = Architecture("another-space", ("x",), "x")
        for bad in ("", "no such thing", (), (-7,), (None, None), [["x"]], 3, None, foreign):
            with pytest.raises(InvalidArchitectureError):
                space.parse(bad)  # type: ignore[arg-type]
            assert bad not in space

    def test_neighbours_are_one_edit_away(self) -> None:
        """Distinct, without the architecture itself, in a fixed order, and back again where edits can be undone."""
        space = self.make_space()
        for arch in self._some(space)[: 25 if size_of(space) <= self.samples else 8]:
            near = space.neighbours(arch)
            assert near == space.neighbours(arch.name), "the order of neighbours is not fixed"
            assert near and arch not in near and len(set(near)) == len(near)
            for other in near[:: max(1, len(near) // 12)] if self.neighbours_symmetric else ():
                assert arch in space.neighbours(other), f"{other} is a neighbour of {arch}, but not the other way"

    def test_answers_are_the_callers_own(self) -> None:
        """Whoever edits an encoding, or a list of neighbours, changes no later answer."""
        space = self.make_space()
        for arch in self._some(space)[:5]:
            assert check_own("encode", lambda arch=arch: space.encode(arch)), "an encoding is an array"  # type: ignore[misc]
            near = space.neighbours(arch)
            kept = list(near)
            near.clear()
            assert space.neighbours(arch) == kept, "neighbours() gave out a list that it keeps"

    def test_whole_numbers_of_every_type_are_the_same(self) -> None:
        """An index is the same in every integer type; True, 1.0 and what is outside are refused."""
        space = self.make_space()
        if size_of(space) == float("inf"):
            return
        for code in np.typecodes["AllInteger"]:
            assert space[np.dtype(code).type(1)] == space[np.array(1, dtype=code)] == space[1]  # type: ignore[index]
        for wrong in (True, 1.0, np.bool_(True), np.float32(1), "1", None):
            with pytest.raises(InvalidValueError):
                space[wrong]  # type: ignore[index]

    def test_draws_depend_on_the_generator_alone(self) -> None:
        """Samples and mutations repeat with the generator, mutations are neighbours, no global state is touched."""
        space, before = self.make_space(), global_state()
        first, again = np.random.default_rng(0), np.random.default_rng(0)
        for _ in range(20):
            arch = space.sample(first)
            assert arch == space.sample(again) and arch in space
            mutant = space.mutate(arch, first)
            assert mutant == space.mutate(arch, again) and mutant in space.neighbours(arch)
        assert global_state() == before

    def test_the_encoding_is_fixed_and_tells_architectures_apart(self) -> None:
        """float32 of one shape, different for different architectures."""
        space = self.make_space()
        seen: dict[bytes, Architecture] = {}
        for arch in self._some(space):
            code = space.encode(arch)
            assert code.dtype == np.float32 and code.shape == space.encode(self._some(space)[0]).shape
            assert np.isfinite(code).all() and np.array_equal(code, space.encode(arch.choices))
            assert seen.setdefault(code.tobytes(), arch) == arch, f"{arch} and {seen[code.tobytes()]} look the same"
