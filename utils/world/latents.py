"""The hidden variables of a story and exact inference over them.

A story's hidden variables form a forest: occupation -> gender -> name, occupation -> topic,
community -> town, community -> tone, and so on. Given evidence about each variable, sums over all
their joint states take two sweeps (sum-product on a tree; Pearl 1988, chapter 4), whatever the
number of joint states. Arrays hold a batch in front: (batch, states).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

Evidence = dict[str, np.ndarray]  # variable name -> (..., states): P(evidence about it | state)


@dataclass(frozen=True)
class Variable:
    """A hidden variable: its states and P(state), or P(state | state of `parent`).

    `table` has shape (states,) for a root and (parent's states, states) otherwise.
    """

    name: str
    states: tuple[str, ...]
    table: np.ndarray
    parent: str | None = None

    def __post_init__(self) -> None:
        if self.table.shape[-1] != len(self.states) or not np.allclose(self.table.sum(-1), 1.0):
            raise ValueError(f"The table of {self.name!r} must have rows over its states that sum to 1.")


class Forest:
    """Hidden variables listed parents first, with sampling and exact sums."""

    def __init__(self, variables: tuple[Variable, ...]) -> None:
        self.variables = variables
        self.by_name = {variable.name: variable for variable in variables}
        self.children: dict[str, list[str]] = {variable.name: [] for variable in variables}
        for variable in variables:
            if variable.parent is not None:
                self.children[variable.parent].append(variable.name)

    def sample(self, rng: np.random.Generator) -> dict[str, int]:
        """One joint state, as {variable: index of its state}."""
        state: dict[str, int] = {}
        for variable in self.variables:
            row = variable.table if variable.parent is None else variable.table[state[variable.parent]]
            state[variable.name] = int(rng.choice(len(row), p=row))
        return state

    def marginal(self, name: str) -> np.ndarray:
        """P(state) of one variable without evidence, shape (states,)."""
        variable = self.by_name[name]
        return variable.table if variable.parent is None else self.marginal(variable.parent) @ variable.table

    def likelihood(self, evidence: Evidence) -> np.ndarray:
        """P(evidence), summed over all hidden states; shape (batch,)."""
        below = self._upward(evidence)
        total = 1.0
        for root in (v for v in self.variables if v.parent is None):
            total = total * (below[root.name] @ root.table)
        return np.asarray(total)

    def beliefs(self, evidence: Evidence) -> tuple[Evidence, np.ndarray]:
        """P(all evidence, state of v) for every variable v, and P(all evidence).

        Each belief has shape (batch, states) and sums over its states to the likelihood (batch,).
        """
        below = self._upward(evidence)
        roots = [variable for variable in self.variables if variable.parent is None]
        root_likelihood = {root.name: below[root.name] @ root.table for root in roots}
        above: Evidence = {}  # P(evidence elsewhere, state of v): everything but v's own subtree
        for variable in self.variables:
            name = variable.name
            if variable.parent is None:
                others = [root_likelihood[root.name] for root in roots if root.name != name]
                above[name] = np.asarray(reduce(np.multiply, others, 1.0))[..., None] * variable.table
                continue
            parent = variable.parent
            outside = above[parent] * evidence.get(parent, 1.0)
            for sibling in self.children[parent]:
                if sibling != name:
                    outside = outside * (below[sibling] @ self.by_name[sibling].table.T)
            above[name] = outside @ variable.table
        total = reduce(np.multiply, root_likelihood.values())
        return {name: above[name] * below[name] for name in above}, total

    def _upward(self, evidence: Evidence) -> Evidence:
        """P(evidence in the subtree of v | state of v) for every variable, leaves first."""
        below: Evidence = {}
        for variable in reversed(self.variables):
            message = evidence.get(variable.name, np.ones(len(variable.states)))
            for child in self.children[variable.name]:
                message = message * (below[child] @ self.by_name[child].table.T)
            below[variable.name] = message
        return below
