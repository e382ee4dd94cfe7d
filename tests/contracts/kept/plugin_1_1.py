"""A head and a strategy of contract 1.1: the head as its documentation had it. They are not changed."""

from tlapp.contracts import Fit, Head, Plan, Strategy


class Several(Head):
    """Any number of labels a picture, each with a probability of its own."""

    contract = "1.1"
    labels = "many"
    activation = "sigmoid"

    def build(self, features, task):
        import keras

        return keras.layers.Dense(len(task.classes), kernel_initializer="zeros", name="outputs")


class Either(Strategy):
    """Train the last stage slowly or fast, whichever the target's score likes better."""

    contract = "1.1"

    def plan(self, task, backbone):
        warm = Fit(name="warm-up", rates=backbone.frozen(), epochs=2, learning_rate=1e-3)
        return Plan((warm, *(self.tuned(backbone, rate) for rate in (1e-4, 1e-3))))

    def tuned(self, backbone, rate):
        return Fit(
            name=f"tune-{rate:g}",
            rates=backbone.last(1),
            streams=("train", "target"),
            epochs=2,
            learning_rate=rate,
            loss=lambda net, batch: {"task": net.task_loss(batch["train"])},
            select="target",
            alternative=True,
        )
