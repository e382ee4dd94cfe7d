"""Feature extraction."""

from __future__ import annotations

from typing import Literal

from tlapp_plugins.shared.discriminant import Discriminant
from tlapp_plugins.shared.kernel_solvers import Neighbours, RbfSvm
from tlapp_plugins.shared.solvers import LinearSvm, Logistic

from tlapp.contracts import Backbone, Field, Plan, Solve, Solver, Strategy, Task, UserError, when

RBF_LIMIT = 10_000
SOLVERS = {"linear-svm": LinearSvm, "rbf-svm": RbfSvm}
SVMS = tuple(SOLVERS)
PENALISED = ("logistic", *SVMS)


class FeatureExtract(Strategy):
    """Fit a scikit-learn classifier to the frozen backbone's features: no gradients, the fastest, and often hard to beat."""

    contract = "1.2"
    classifier: Literal["logistic", "lda", "linear-svm", "rbf-svm", "knn"] = Field(
        "logistic",
        description="classifier to fit; `tlapp teach` adds to lda; rbf-svm and knn store training examples in the model",
    )
    penalty: float | None = Field(
        None, gt=0, description="weight of the penalty on large weights (scikit-learn's 1/C); cross-validated by default",
        when=when(classifier=PENALISED),
    )  # fmt: skip
    neighbours: int | None = Field(
        None, ge=1, description="number of neighbours that vote; cross-validated by default", when=when(classifier="knn")
    )
    folds: int = Field(
        3, ge=2, description="folds of the cross-validation; the SVMs need it for their probabilities, with any penalty; lda too",
        when=(when(classifier=(*SVMS, "lda")), when(classifier="logistic", penalty=None)),
    )  # fmt: skip

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        return Plan((Solve(name=self.classifier, rates=backbone.frozen(), solver=self.solver(task)),))

    def solver(self, task: Task) -> Solver:
        """The chosen solver.

        Raises:
            UserError: there are more examples than it can take.
        """
        if self.classifier == "knn":
            return Neighbours(k=self.neighbours)
        examples = task.streams.get("train", 0)
        if self.classifier == "rbf-svm" and examples > RBF_LIMIT:
            raise UserError(
                f"rbf-svm takes at most {RBF_LIMIT} training examples; use logistic. Received: {examples}",
                received=examples,
            )
        if self.classifier == "lda":
            return Discriminant(folds=self.folds)
        if self.classifier == "logistic":
            return Logistic(penalty=self.penalty) if self.penalty else Logistic(folds=self.folds)
        return SOLVERS[self.classifier](folds=self.folds, penalty=self.penalty)
