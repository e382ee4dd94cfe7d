"""The ordinary way: the recipe of Keras's guide on transfer learning, https://keras.io/guides/transfer_learning/.

The same backbone, weights, pictures, batch size and epochs as tlapp's; the base is called inside fit, every epoch.

    python benchmarks/ordinary.py DATA freeze|partial|full EPOCHS [--frozen-norm]

Prints one JSON object: test accuracy, peak memory in MB.
"""

from __future__ import annotations

import json
import resource
import sys


def main(data: str, strategy: str, epochs: int, frozen_norm: bool) -> None:
    import keras

    from tlapp.backbones.keras_cv import KerasCV

    keras.utils.set_random_seed(0)
    loaded = KerasCV().load("efficientnet-lite0")
    base, size = loaded.graph, loaded.facts.input.size
    read = {"image_size": (size, size), "batch_size": 32, "verbose": False}
    train = keras.utils.image_dataset_from_directory(f"{data}/train", seed=0, **read)
    classes, train = len(train.class_names), train.prefetch(2)
    val = keras.utils.image_dataset_from_directory(f"{data}/val", shuffle=False, **read).prefetch(2)
    test = keras.utils.image_dataset_from_directory(f"{data}/test", shuffle=False, **read).prefetch(2)

    base.trainable = strategy != "freeze"
    live = {stage.name for stage in loaded.facts.stages[-2:]} if strategy == "partial" else set(loaded.stage_of.values())
    for layer in base.layers:
        norm = isinstance(layer, keras.layers.BatchNormalization) and frozen_norm
        layer.trainable = base.trainable and loaded.stage_of.get(layer.name) in live and not norm

    image = keras.Input((size, size, 3))
    # The guide keeps a frozen base, and the batch norm of one that is fine-tuned, in inference mode by training=False;
    # most recipes that unfreeze leave it out, and then batch norm updates.
    features = base(image, training=False) if strategy != "full" else base(image)
    outputs = keras.layers.Dense(classes)(keras.layers.Dropout(0.2)(features))
    model = keras.Model(image, outputs)
    model.compile(
        keras.optimizers.Adam(1e-3 if strategy == "freeze" else 1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    model.fit(train, validation_data=val, epochs=epochs, verbose=0)
    accuracy = model.evaluate(test, verbose=0, return_dict=True)["accuracy"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"accuracy": float(accuracy), "peak_memory_mb": peak}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), "--frozen-norm" in sys.argv)
