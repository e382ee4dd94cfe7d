"""Progressive."""

from __future__ import annotations

from tlapp_plugins.shared.columns import Columns
from tlapp_plugins.shared.fine_tune import FineTune

from tlapp.api import load
from tlapp.contracts import Backbone, Field, Plan, Rates, Task, UserError


class Progressive(FineTune):
    """Learn task after task without forgetting: a column of layers for each, beside the frozen backbone and earlier columns."""

    earlier: str | None = Field(
        None, path=True, description="run of this strategy for the task before; its columns are read, and stay as they are"
    )
    width: float = Field(0.5, gt=0, le=4, description="channels of the new column over those of the stages beside it")
    last: int = Field(3, ge=1, description="stages that columns stand beside, counted from the output")
    laterals: bool = Field(True, description="read earlier columns at every stage, and not only where the column begins")
    epochs: int = Field(20, ge=1, description="maximum epochs after the warm-up")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="learning rate of the column and the head")

    def rates(self, backbone: Backbone) -> Rates:
        return backbone.frozen()

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        if backbone.input.kind == "text":
            words = "its columns are convolutions beside the maps of a network of pictures, and a network of texts has no maps"
            raise UserError(
                f"{words}; option plugin=adapters leaves the network as it is too, and tlapp merge puts its runs into one file",
                "progressive", "plugin",
            )  # fmt: skip
        if self.earlier:
            self.check(load(self.earlier).settings, backbone)
        return Plan(self.phases(backbone), Columns(self.width, self.last, self.laterals, self.earlier))

    def check(self, settings: dict[str, object], backbone: Backbone) -> None:
        """Check that the columns of an earlier run fit.

        Raises:
            UserError: it is of another strategy, backbone or number of stages.
        """
        for key, wanted in (("plugin", "progressive"), ("backbone", backbone.name), ("last", self.last)):
            if settings.get(key) != wanted:
                raise UserError(
                    f"is a run with option {key} {settings.get(key)}, so that its columns do not fit; expected {wanted}",
                    self.earlier, "earlier",
                )  # fmt: skip
