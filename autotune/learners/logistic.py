"""Logistic regression of two classes with an L2 penalty, for a table that is fitted for many penalties.

The curvature of the log loss at the coefficients of one penalty is nearly that at all others. In coordinates where it
is that of a ball, L-BFGS needs some 5 to 20 evaluations of the loss from there, and ends closer to the minimum than
after 30 to 90 in the coordinates of the columns. Curvature and coefficients are found from the table alone, so that no
fit depends on those before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_COLUMNS = 300
"""From this many columns on, turning the coordinates costs as much as the evaluations that it saves."""

GAP = 1e-8
"""How far from the smallest mean loss a search ends: half the square of the gradient, in the coordinates of a ball."""

MOST_ITERATIONS = 500


@dataclass(frozen=True, slots=True)
class LogLoss:
    """The log loss of a table as a function of its coefficients, slopes before the intercept.

    Attributes
    ----------
    matrix : ndarray or CSR matrix, shape (n_rows, n_columns)
        Its columns, float64.
    is_positive : ndarray of bool, shape (n_rows,)
        Which rows are of the second class.
    weight : ndarray, shape (n_rows,)
        Weights of the rows.
    """

    matrix: Any
    is_positive: NDArray[np.bool_]
    weight: NDArray[np.float64]

    def at(self, coefficients: NDArray[np.float64], penalty: float) -> tuple[float, NDArray[np.float64]]:
        """Return the sum over the rows with ``penalty · ½|w|²``, and its gradient."""
        margins, slopes = self._margins(coefficients), coefficients[:-1]
        right = np.where(self.is_positive, margins, -margins)
        losses = np.log1p(np.exp(-np.abs(right))) - np.minimum(right, 0.0)
        residuals = self.weight * (expit(margins) - self.is_positive)
        gradient = np.append(self.matrix.T @ residuals + penalty * slopes, residuals.sum())
        return float(self.weight @ losses + 0.5 * penalty * slopes @ slopes), gradient

    def curvature(self, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the matrix of second derivatives without penalty."""
        margins = self._margins(coefficients)
        spread = self.weight * expit(margins) * expit(-margins)
        is_sparse = hasattr(self.matrix, "multiply")
        spread_out = self.matrix.multiply(spread[:, None]).tocsr() if is_sparse else self.matrix * spread[:, None]
        inner = spread_out.T @ self.matrix
        products = np.empty((len(coefficients), len(coefficients)))
        products[:-1, :-1] = inner.toarray() if is_sparse else inner
        products[:-1, -1] = products[-1, :-1] = np.asarray(spread_out.sum(axis=0)).ravel()
        products[-1, -1] = spread.sum()
        return products

    def _margins(self, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        margins: NDArray[np.float64] = self.matrix @ coefficients[:-1] + coefficients[-1]
        return margins


@dataclass(frozen=True, slots=True)
class Start:
    """Where a search for the smallest loss begins: coefficients, and the curvature of the loss there.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> table, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    >>> loss = LogLoss(table, y > 0, np.ones(4))
    >>> slope, intercept = Start.of(loss).smallest(loss, penalty=0.1)
    >>> bool(np.isclose(slope, LogisticRegression(C=10.0, tol=1e-8).fit(table, y).coef_[0, 0], atol=1e-3))
    True
    """

    coefficients: NDArray[np.float64]
    curvature: NDArray[np.float64]

    @classmethod
    def of(cls, loss: LogLoss) -> Start:
        """Return the start for all penalties: the smallest loss with a penalty of 1, found from 0."""
        zero = np.zeros(loss.matrix.shape[1] + 1)
        coefficients = cls(zero, loss.curvature(zero)).smallest(loss, penalty=1.0)
        return cls(coefficients, loss.curvature(coefficients))

    def smallest(self, loss: LogLoss, penalty: float) -> NDArray[np.float64]:
        """Return the coefficients of the smallest penalised loss."""
        to_ball, (value_here, gradient_here) = self._to_ball(penalty), loss.at(self.coefficients, penalty)
        unit = float(np.linalg.norm(gradient_here @ to_ball)) or 1.0  # so that L-BFGS begins with Newton's step

        def coefficients(ball: NDArray[np.float64]) -> NDArray[np.float64]:
            return self.coefficients + to_ball @ (unit * ball)

        def value_and_gradient(ball: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, gradient = loss.at(coefficients(ball), penalty)
            return (value - value_here) / unit**2, gradient @ to_ball / unit

        zero = np.zeros(len(self.coefficients))
        largest_gradient = np.sqrt(2 * GAP * loss.weight.sum() / len(zero)) / unit
        options = {"gtol": largest_gradient, "ftol": 0.0, "maxiter": MOST_ITERATIONS}
        return coefficients(minimize(value_and_gradient, zero, jac=True, method="L-BFGS-B", options=options).x)

    def _to_ball(self, penalty: float) -> NDArray[np.float64]:
        """Return a matrix A for which ``Aᵀ (curvature + penalty) A`` is the identity."""
        curvature = self.curvature.copy()
        places = np.arange(len(curvature))
        curvature[places[:-1], places[:-1]] += penalty
        curvature[places, places] += 1e-10 * curvature.diagonal().max()  # twin columns under a weak penalty
        inverse: NDArray[np.float64] = np.linalg.inv(np.linalg.cholesky(curvature))
        return inverse.T
