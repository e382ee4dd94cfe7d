"""Phases whose batches several machines share: each worker's part, and the whole as by one machine."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from helpers.fake_cluster import FakeCluster
from helpers.one_phase import Tunes, lines

from tlapp.cluster.worker_group import Restarted
from tlapp.contracts import Batch, Fit, Task
from tlapp.engine.network.replicas import Share, share
from tlapp.engine.options import RunOptions
from tlapp.engine.report import Silent
from tlapp.engine.training.feeds import Feed
from tlapp.testing import Dense, TinyBackbones, tiny_run


class Alone:
    """As `Replicas`, of one process."""

    index, count = 0, 1

    def share(self, batch):
        return Share(0, batch, batch)

    def mean(self, tensors, share):
        return [tensor * share.part for tensor in tensors]


class OneWorker:
    """As `WorkerGroup`, of one worker, a thread of this process; it is lost before the messages of these numbers."""

    count = 1

    def __init__(self, work, lost):
        self._work, self._lost, self.asked, self._thread, self.heard = work, lost, 0, None, []

    def ask(self, messages):
        self.asked += 1
        if self._thread is None or self.asked in self._lost:
            self.close()
            self._inbox, self._outbox = queue.Queue(), queue.Queue()
            self._thread = threading.Thread(target=self._run, args=(self._inbox, self._outbox), daemon=True)
            self._thread.start()
            raise Restarted
        self.heard.append(messages[0])
        self._inbox.put(messages[0])
        if isinstance(answer := self._outbox.get(timeout=60), BaseException):
            raise answer
        return [answer]

    def close(self):
        if self._thread is not None:
            self._inbox.put(None)
            self._thread.join()

    def _run(self, inbox, outbox):
        try:
            self._work(inbox.get, outbox.put)
        except BaseException as error:
            outbox.put(error)


class Machines(FakeCluster):
    """Two machines, but for what trains on them together: that is one worker."""

    machines = 2

    def __init__(self, lost=()):
        super().__init__()
        self.groups, self._losses = [], lost

    def group(self, work):
        self.groups.append(OneWorker(work, self._losses))
        return self.groups[-1]


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, sentence):
        self.notes.append(sentence)


def weights(run):
    return [np.array(variable) for variable in run.work.model().weights]


def is_same(one, other):
    return lines(one) == lines(other) and all(map(np.array_equal, weights(one), weights(other)))


@pytest.mark.parametrize("judging", [False, True])
def test_workers_train_as_this_process_does_also_after_a_loss(judging, shapes, tmp_path, tensorflow, monkeypatch):
    """To the bit, with a moving average and dropout; a step a block, of which the second is lost, or the first judging too."""
    from tlapp.engine.run import Run
    from tlapp.engine.training import steps, worker
    from tlapp.engine.training.divided import Block, Look

    monkeypatch.setattr(steps, "BLOCK_BYTES", 1)
    monkeypatch.setattr(worker, "Replicas", Alone)
    alone = tiny_run(Tunes(fit={"average": 0.9, "epochs": 2}), shapes, tmp_path / "alone")
    options = alone.job.options.model_copy(update={"run": str(tmp_path / "divided")})
    job, cluster, notes = replace(alone.job, options=options), Machines(lost=(4, 9) if judging else (4,)), Notes()
    run = Run(replace(job, cluster=cluster, worker=partial(worker.work, lambda: job)), notes)
    for step in (run.load, run.prepare, run.begin):
        step()
    run.work.carry_out()
    assert is_same(alone, run)
    (group,) = cluster.groups
    looks = [len(message.x[0]) for message in group.heard if isinstance(message, Look)]
    assert looks == [len(run.dataset.streams["val"])] * (2 - judging)
    states = [message.state is not None for message in group.heard if isinstance(message, Block)]
    assert states == [True, True, False, False, judging, False, False, False]  # which a worker gets once, as it stays the same
    assert [note for note in notes.notes if note.startswith("phase tune")] == [
        "phase tune: trained by 1 workers", "phase tune: a worker was lost; its block of steps is done again",
        *["phase tune: a worker was lost; this machine judges the epoch alone"] * judging,
    ]  # fmt: skip


@pytest.mark.parametrize("again", ["with", "without"])
def test_what_was_stopped_on_several_machines_goes_on_with_and_without_them(again, shapes, tmp_path, tensorflow, monkeypatch):
    """To the bit; stopped between two steps."""
    from tlapp.engine.run import Interrupted, Run, train
    from tlapp.engine.training import steps, worker

    class Stop(Silent):
        def progress(self, task, done, of):
            if task == "tune" and done == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(steps, "BLOCK_BYTES", 1)
    monkeypatch.setattr(worker, "Replicas", Alone)
    alone = tiny_run(Tunes(fit={"average": 0.9, "epochs": 2}), shapes, tmp_path / "alone")
    options = alone.job.options.model_copy(update={"run": str(tmp_path / "divided")})
    job = replace(alone.job, options=options, settings=options.model_dump(mode="json"))
    first, second = (replace(job, cluster=Machines(), worker=partial(worker.work, lambda: job)) for _ in range(2))
    with pytest.raises(Interrupted):
        train(first, Stop())
    assert first.cluster.groups and not (tmp_path / "divided" / "metrics.json").exists()
    run = Run(second if again == "with" else job, Silent(), resume=True)
    for step in (run.load, run.prepare, run.begin):
        step()
    run.work.carry_out()
    assert is_same(alone, run) and bool(second.cluster.groups) == (again == "with")


def test_a_worker_of_other_packages_or_another_network_is_refused(tensorflow, monkeypatch):
    from types import SimpleNamespace

    from tlapp.engine.training import divided, worker
    from tlapp.errors import UserError

    ours, answers = divided.versions(), []
    with pytest.raises(UserError, match=r"worker 2 of 2 has keras 2\.0, this machine .*; install the same"):
        divided._must_agree([{"fault": "", **ours}, {"fault": "", **ours, "keras": "2.0"}])
    monkeypatch.setattr(worker, "Replicas", Alone)
    options = RunOptions(image_size=32)
    job = SimpleNamespace(options=options, provider=TinyBackbones(), backbone="tiny", strategy=Tunes(), head=Dense())
    messages = [divided.Begin(Task(("a", "b", "c"), {"train": 9}), 0, 9, 0, b"", []), None]
    worker.work(lambda: job, lambda: messages.pop(0), answers.append)
    with pytest.raises(UserError, match=r"worker 1 of 1: the network of .* is another one here"):
        divided._must_agree(answers)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_shares_are_a_batch(count):
    shares = [share(index, count, 8) for index in range(count)]
    assert [row for each in shares for row in range(each.begin, each.end)] == [*range(8)]
    sizes = [each.end - each.begin for each in shares]
    assert max(sizes) - min(sizes) <= 1 and sum(each.part for each in shares) == pytest.approx(1)


def net(norms="frozen", head=None, rates=1.0):
    import keras

    from tlapp.engine.network.cut import cut
    from tlapp.engine.network.net import Living, PhaseNet

    tiny = TinyBackbones().load("tiny")
    layer = head or keras.Sequential([keras.layers.Dropout(0.5, seed=3), keras.layers.Dense(3)])
    layer(tiny.graph.outputs[0])
    living = Living({**tiny.facts.last(1), "top": rates}, norms)
    return PhaseNet(cut(tiny.graph, living.rates, tiny.stage_of), living, tiny.stage_of, Dense(), layer, {})


def test_gradients_of_shares_add_up_to_that_of_the_batch_dropout_included(tensorflow):
    """Dropout in the last stage and in the head draws by an example's place in the batch."""
    tf, phase_net, rng = tensorflow, net(), np.random.default_rng(0)
    (shape,) = [tuple(tensor.shape[1:]) for tensor in phase_net.cut.boundary]
    x, y = rng.normal(size=(8, *shape)).astype("f"), np.eye(3, dtype="f")[rng.integers(3, size=8)]
    weight, seeds = rng.uniform(0.5, 2, 8).astype("f"), [v for v in phase_net.variables() if "seed" in v.path]
    states, flat = [np.array(seed) for seed in seeds], [v.value for group in phase_net.trainable().values() for v in group]
    assert len(seeds) == 2

    def gradient(part):
        for seed, state in zip(seeds, states, strict=True):
            seed.assign(state)
        phase_net.share, rows = part, slice(part.begin, part.end) if part else slice(None)
        with tf.GradientTape() as tape:
            loss = phase_net.task_loss(Batch(x[rows], y[rows], weight[rows]))
        return [loss, *tape.gradient(loss, flat)]

    whole, shares = gradient(None), [share(index, 3, 8) for index in range(3)]
    parts = [[array * each.part for array in gradient(each)] for each in shares]
    for one, *others in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(sum(np.asarray(other) for other in others), one, rtol=1e-4, atol=1e-6)
    assert all(np.abs(np.asarray(array)).max() > 1e-4 for array in whole)


def test_what_no_worker_can_help_with_is_trained_here_and_told(tensorflow):
    from types import SimpleNamespace

    import keras

    from tlapp.engine.training.divided import DividedSteps, steps_of

    def told(phase_net=None, batch=8, machines=2, **fit):
        """Whether it is divided, and what is said."""
        phase_net, notes, cluster = phase_net or net(), Notes(), Machines()
        cluster.machines = machines
        job = SimpleNamespace(options=RunOptions(batch_size=batch), cluster=cluster, worker=print)
        phase = Fit(name="tune", rates={}, epochs=1, learning_rate=1e-3, **fit)
        feed = Feed(None, 9, np.ones((9, 3)), np.ones(9))
        session = SimpleNamespace(job=job, reporter=notes)
        steps = steps_of(session, SimpleNamespace(phase=phase, number=0), phase_net, {"train": feed})
        assert not cluster.groups
        return isinstance(steps, DividedSteps), "".join(notes.notes)

    assert told() == (True, "") == told(net("affine"))
    assert told(machines=1) == (False, "") == told(net(rates=0.0))
    assert told(loss=lambda net, batches: {}) == (
        False, "phase tune: trained on this machine alone: the strategy's own loss may compare the examples of a batch",
    )  # fmt: skip
    assert "own batches" in told(sampler=object())[1]
    assert "a batch of 1 cannot be shared by 2 machines" in told(batch=1)[1]
    assert "whole batch" in told(net("update"))[1]
    assert "whole batch" in told(net(head=keras.Sequential([keras.layers.BatchNormalization(), keras.layers.Dense(3)])))[1]
