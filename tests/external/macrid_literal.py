"""MacridVAE and its family once more: dense, in double precision, from the paper's formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch


class Macrid:
    """Of one model's present weights.

    Parameters
    ----------
    table : h (P I, d).
    counted : (P, I) bool, the parts that items have.
    n_rows : users with training items.
    weights : w (P, I); equal ones by default.
    trained : (P, I) bool, the parts in the softmax of the loss; all that items have by default.
    """

    def __init__(
        self,
        model: Any,
        table: np.ndarray,
        counted: np.ndarray,
        n_rows: int,
        weights: np.ndarray | None = None,
        trained: np.ndarray | None = None,
    ) -> None:
        self.params, self.counted, self.n_rows = model.params, counted, n_rows
        self.state = {name: value.double().numpy() for name, value in model.state_dict().items()}
        self.items = unit(table)
        self.weights = counted / counted.sum(0) if weights is None else weights
        self.trained = counted if trained is None else trained

    def concepts(self, noise: np.ndarray | None = None) -> np.ndarray:
        """c (P I, K)."""
        logits = self.items @ unit(self.state["cores"]).T / self.params.tau
        return softmax(logits if noise is None else logits + noise)

    def scores(self, interactions: np.ndarray) -> np.ndarray:
        """(U, I)."""
        c, (n_parts, n_items) = self.concepts(), self.counted.shape
        found = np.zeros((len(interactions), n_items))
        for user, x in enumerate(interactions):
            parts = np.tile(x, n_parts) * self.counted.flatten()
            kept = np.ones((self.params.kfac, len(parts)))
            wanted = [self.encoded(parts, c[:, k], kept[k])[0] for k in range(self.params.kfac)]
            probabilities = self.mixture(wanted, c)
            total = sum(p for p, there in zip(probabilities, self.counted.flatten(), strict=True) if there)
            for i in range(n_items):
                for p in range(n_parts):
                    if self.counted[p, i]:
                        found[user, i] += self.weights[p, i] * math.log(probabilities[p * n_items + i] / total)
        return found

    def loss(self, batch: Any) -> float:
        """Of rows (B, P I), the draws repeated in the order in which the model makes them."""
        params, (n_parts, n_items) = self.params, self.counted.shape
        n_concepts, n_users, n_entries = params.kfac, batch.shape[0], len(batch.columns)
        noise = None
        if params.assignment == "gumbel":
            noise = -np.log(torch.empty(len(self.items), n_concepts).exponential_().double().numpy())
        c = self.concepts(noise)
        entries = list(zip(batch.rows.tolist(), batch.columns.tolist(), strict=True))
        draws = torch.ones(n_concepts, n_entries) if params.normalise_input else torch.ones(1, n_entries)
        dropped = torch.nn.functional.dropout(draws, params.dropout).double().numpy()
        eps = torch.randn(n_concepts, n_users, params.dfac).double().numpy()
        total = divergence = 0.0
        for user in range(n_users):
            x, kept = np.zeros(n_parts * n_items), np.zeros((n_concepts, n_parts * n_items))
            for entry, (owner, column) in enumerate(entries):
                if owner == user:
                    x[column] = 1
                    kept[:, column] = dropped[:, entry]
            drawn, of_concepts = [], []
            for k in range(n_concepts):
                a, logvar = self.encoded(x, c[:, k], kept[k])
                drawn.append(a + params.sigma0 * np.exp(logvar / 2) * eps[k, user])
                kl = np.exp(logvar) - 1 - logvar
                if not params.normalise_mu:
                    kl = kl + a**2 / params.sigma0**2
                of_concepts.append(kl.sum() / 2)
            probabilities = self.mixture(drawn, c)
            everything = sum(probabilities[self.trained.flatten()])
            for column in np.flatnonzero(x):
                weight = self.weights[column // n_items, column % n_items]
                total -= weight * math.log(probabilities[column] / everything)
            divergence += sum(of_concepts) / (n_concepts if params.kl_reduction == "mean" else 1)
        return (total + self.kl_weight() * divergence) / n_users

    def kl_weight(self) -> float:
        steps = self.params.anneal_steps
        if steps is None:
            steps = {"official": 5, "igui": 500}[self.params.recipe] * math.ceil(self.n_rows / self.params.batch_size)
        return min(self.params.beta, float(self.state["annealing.updates"]) / steps) if steps else self.params.beta

    def encoded(self, x: np.ndarray, c: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """a and l (d,) of one user and one concept; `kept` (P I,) is what dropout makes of ones."""
        row = x * c
        if self.params.normalise_input and row.any():
            row = row / math.sqrt(sum(value**2 for value in row))
        hidden = np.tanh((row * kept) @ self.state["first"] + self.state["first_bias"])
        out = self.state["second.weight"] @ hidden + self.state["second.bias"]
        a, logvar = out[: self.params.dfac], out[self.params.dfac :]
        return (unit(a[None])[0] if self.params.normalise_mu else a), logvar

    def mixture(self, wanted: list[np.ndarray], c: np.ndarray) -> np.ndarray:
        """(P I,), of any total; extended doubles hold exp(1 / .01)."""
        found = np.zeros(len(self.items), dtype=np.longdouble)
        for k, a in enumerate(wanted):
            found += c[:, k] * np.exp((self.items @ unit(a[None])[0] / self.params.tau).astype(np.longdouble))
        return found


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)
