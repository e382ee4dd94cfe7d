"""Feature extraction."""

from __future__ import annotations

from typing import Literal

from tlapp_plugins.shared.kernel_solvers import Neighbours, RbfSvm
from tlapp_plugins.shared.solvers import LinearSvm, Logistic

from tlapp.contracts import Backbone, Field, Plan, Solve, Solver, Strategy, Task, UserError

RBF_LIMIT = 10_000


class FeatureExtract(Strategy):
    """Solve for a scikit-learn classifier on the frozen backbone's features; no gradients, the fastest and often hard to beat."""

    classifier: Literal["logistic", "linear-svm", "rbf-svm", "knn"] = Field(
        "logistic", description="what to fit; rbf-svm and knn keep training examples in the model, which grows with them"
    )
    penalty: float | None = Field(
        None, gt=0, description="weight of the penalty on large weights (scikit-learn's 1/C); cross-validated if not given"
    )
    neighbours: int | None = Field(None, ge=1, description="knn: how many neighbours vote; cross-validated if not given")
    folds: int = Field(3, ge=2, description="folds of the cross-validation")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        return Plan((Solve(name=self.classifier, rates=backbone.frozen(), solver=self.solver(task)),))

    def solver(self, task: Task) -> Solver:
        """The chosen solver.

        Raises:
            UserError: an option that the classifier does not have, or more examples than it can take.
        """
        if self.classifier == "knn":
            self._refuse("penalty", self.penalty)
            return Neighbours(folds=self.folds, k=self.neighbours)
        self._refuse("neighbours", self.neighbours)
        examples = task.streams.get("train", 0)
        if self.classifier == "rbf-svm" and examples > RBF_LIMIT:
            raise UserError(
                f"rbf-svm takes at most {RBF_LIMIT} training examples; choose logistic. Received: {examples}", received=examples
            )
        solvers = {"logistic": Logistic, "linear-svm": LinearSvm, "rbf-svm": RbfSvm}
        return solvers[self.classifier](folds=self.folds, penalty=self.penalty)

    def _refuse(self, option: str, value: object) -> None:
        if value is not None:
            raise UserError(f"classifier {self.classifier} has no {option}; leave it out. Received: {value}", received=value)
