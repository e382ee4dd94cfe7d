"""Ask an exported model, or replace its answers."""

from tlapp.engine.export.formats import named
from tlapp.engine.export.formats.artifact import Answers, Latency

CLASSES = {"blue": (30, 60, 200), "green": (40, 180, 60), "red": (210, 50, 40)}


def interpreter(report):
    from ai_edge_litert.interpreter import Interpreter

    found = Interpreter(f"{report['folder']}/model.tflite")
    found.allocate_tensors()
    return found


def classify(lite, picture):
    source, target = lite.get_input_details()[0], lite.get_output_details()[0]
    lite.set_tensor(source["index"], picture[None].astype(source["dtype"]))
    lite.invoke()
    return lite.get_tensor(target["index"])[0].copy()


LATENCY = Latency(1.0, 1, 1)


def answering(monkeypatch, run, spoil):
    """Artifacts that answer as the run's model does, changed by `spoil`."""

    def ask(artifact, questions):
        assert artifact.is_file()
        return Answers(spoil(run.probabilities(questions.examples["image"])), run.labels, LATENCY)

    monkeypatch.setattr(named("keras"), "ask", ask)


def spoilt(monkeypatch, run):
    """Answers of the artifact with the classes the wrong way round."""
    answering(monkeypatch, run, lambda found: found[:, ::-1])
