"""Strategies of contract 1.0, as its documentation had them. They are not changed: what follows must go on running them."""

from tlapp.contracts import Field, Fit, Plan, Strategy


class Humble(Strategy):
    """Train the last stages, and penalise answers that are too sure of themselves."""

    contract = "1.0"
    last: int = Field(2, ge=1, description="stages to train, counted from the output")
    epochs: int = Field(10, ge=1, description="epochs, at most")
    penalty: float = Field(0.1, ge=0, description="weight of the penalty on sure answers")

    def plan(self, task, backbone):
        rates = backbone.last(self.last)
        return Plan((Fit(name="tune", rates=rates, epochs=self.epochs, learning_rate=1e-3, loss=self.loss),))

    def loss(self, net, batch):
        """The head's loss, minus the entropy of its answers (Pereyra et al. 2017, https://arxiv.org/abs/1701.06548)."""
        import keras

        train = batch["train"]
        outputs = net.head(net.features(train.x))
        answers = keras.ops.softmax(outputs)
        entropy = -keras.ops.mean(keras.ops.sum(answers * keras.ops.log_softmax(outputs), axis=-1))
        right = keras.losses.categorical_crossentropy(train.y, outputs, from_logits=True)
        return {"task": keras.ops.mean(right * train.weight), "sure": -self.penalty * entropy}


def domain_classifier():
    """Features to one number: from train (0) or target (1)?"""
    import keras

    return keras.Sequential([keras.layers.Dense(64, activation="relu"), keras.layers.Dense(1)])


class Confuse(Strategy):
    """Train the last stages so that features of --target look like those of --data (DANN)."""

    contract = "1.0"
    last: int = Field(2, ge=1, description="stages to train, counted from the output")
    epochs: int = Field(10, ge=1, description="epochs, at most")
    weight: float = Field(0.3, ge=0, description="weight of the confusion at the end of training")

    def plan(self, task, backbone):
        tune = Fit(
            name="confuse",
            rates=backbone.last(self.last),
            streams=("train", "target"),
            epochs=self.epochs,
            learning_rate=1e-3,
            loss=self.loss,
            parts={"domain": domain_classifier},
        )
        return Plan((tune,))

    def loss(self, net, batch):
        """Cross-entropy, and the domain classifier's behind reversed gradients (Ganin et al. 2016, https://arxiv.org/abs/1505.07818)."""
        import keras

        ops = keras.ops
        strength = self.weight * net.progress
        domain = 0.0
        for stream, truth in (("train", 0.0), ("target", 1.0)):
            features = net.features(batch[stream].x)
            # The same features forwards, their gradient times -strength backwards.
            reverse = ops.stop_gradient((1 + strength) * features) - strength * features
            guess = net.part("domain")(reverse)
            domain += ops.mean(keras.losses.binary_crossentropy(ops.full_like(guess, truth), guess, from_logits=True))
        return {"task": net.task_loss(batch["train"]), "domain": domain}
