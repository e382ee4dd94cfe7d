"""Processes of a Ray cluster that train together, one a machine: Ray Train starts them, and begins anew where one is lost."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tlapp.errors import UserError
from tlapp.words import in_a_line

RETRIES = 3
"""How often the processes are begun anew."""
TICK = 0.5
"""Seconds after which who waits looks whether the processes are still to come."""
END_SECONDS = 30.0
BEGIN_SECONDS = "600"
"""How long Ray Train waits for machines that are busy, before it begins to ask for them anew."""
Work = Callable[[Callable[[], Any], Callable[[Any], None]], None]
"""What a process does: given what waits for its next message, None at the end, and what sends back an answer to it."""


class Restarted(Exception):
    """Other processes have begun: they know of no message before."""


class WorkerGroup:
    """Processes that train together; they have begun when the first `ask` is heard.

    Args:
        ray: the package, connected.
        work: a function of a module, which each process runs.
        count: of processes.
        cores: of each.

    Raises:
        UserError: what Ray Train needs is not installed.
    """

    def __init__(self, ray: Any, work: Work, count: int, cores: int):
        try:
            import ray.train.tensorflow
        except ImportError as error:
            raise UserError("needs what Ray Train needs: pip install 'ray[train]'", option="on") from error
        self._ray, self._work, self.count, self._cores = ray, work, count, cores
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._mailbox = ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote(count)
        self._name, self._fault = "", ""
        self._thread = threading.Thread(target=self._fit, daemon=True)
        self._thread.start()

    def ask(self, messages: Sequence[Any]) -> list[Any]:
        """Send each process its message; their answers.

        Raises:
            Restarted: the processes have only begun, or have begun anew; nothing was sent.
            UserError: they have failed too often.
        """
        if not self._name:
            self._name = self._awaited(self._mailbox.ready.remote())
            raise Restarted
        answers: list[Any] | None = self._awaited(self._mailbox.ask.remote(self._name, list(messages)))
        if answers is None:
            self._name = ""
            raise Restarted
        return answers

    def close(self) -> None:
        """Let the processes end."""
        self._mailbox.end.remote()
        self._thread.join(END_SECONDS)

    def _awaited(self, reference: Any) -> Any:
        while not self._ray.wait([reference], timeout=TICK)[0]:
            if not self._thread.is_alive():
                raise UserError(f"the workers failed: {self._fault or 'they ended too early'}", option="on")
        return self._ray.get(reference)

    def _fit(self) -> None:
        from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig  # where mypy finds what ray.train has
        from ray.train.v2.tensorflow.tensorflow_trainer import TensorflowTrainer

        os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", BEGIN_SECONDS)
        names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
        variables = {**dict.fromkeys(names, str(self._cores)), "TF_CPP_MIN_LOG_LEVEL": "3"}
        workers: dict[str, Any] = {
            "num_workers": self.count,
            "resources_per_worker": {"CPU": self._cores},
            "placement_strategy": "SPREAD",
        }
        with tempfile.TemporaryDirectory() as folder:
            trainer = TensorflowTrainer(
                run_here,
                train_loop_config={"mailbox": self._mailbox, "work": self._work},
                scaling_config=ScalingConfig(**workers),
                run_config=RunConfig(
                    name="tlapp", storage_path=folder, failure_config=FailureConfig(max_failures=RETRIES),
                    worker_runtime_env={"env_vars": variables},
                ),
            )  # fmt: skip
            try:
                trainer.fit()
            except Exception as error:  # Ray Train raises what it likes
                self._fault = in_a_line(error)


class Mailbox:
    """An actor of Ray: messages to the processes of a group, and their answers; a new group takes the place of the one before."""

    def __init__(self, count: int):
        self._count, self._group, self._is_over = count, "", False
        self._joined: set[int] = set()
        self._messages: dict[int, Any] = {}
        self._answers: dict[int, Any] = {}
        self._changed = asyncio.Condition()

    async def join(self, group: str, index: int) -> None:
        """Process `index` of a group is there."""
        async with self._changed:
            if group != self._group:
                self._group, self._joined, self._messages, self._answers = group, set(), {}, {}
            self._joined.add(index)
            self._changed.notify_all()

    async def next(self, group: str, index: int) -> Any:
        """The next message to a process; None at the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._is_over or self._group != group or index in self._messages)
            return self._messages.pop(index) if self._group == group and index in self._messages else None

    async def answer(self, group: str, index: int, answer: Any) -> None:
        """A process has answered."""
        async with self._changed:
            if group == self._group:
                self._answers[index] = answer
                self._changed.notify_all()

    async def ready(self) -> str:
        """The name of a group of which all are there."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._joined) == self._count)
            return self._group

    async def ask(self, group: str, messages: Sequence[Any]) -> list[Any] | None:
        """The answers to messages, one a process; None where the group is no more."""
        async with self._changed:
            if group == self._group:
                self._messages, self._answers = dict(enumerate(messages)), {}
                self._changed.notify_all()
            await self._changed.wait_for(lambda: group != self._group or len(self._answers) == self._count)
            return [self._answers[index] for index in range(self._count)] if group == self._group else None

    async def end(self) -> None:
        """There will be no more messages."""
        async with self._changed:
            self._is_over = True
            self._changed.notify_all()


def run_here(config: dict[str, Any]) -> None:
    """What Ray Train runs in each process."""
    import json

    import ray

    os.environ.pop("TF_USE_LEGACY_KERAS", None)  # Ray Train sets it, for Keras 2
    about, mailbox = json.loads(os.environ["TF_CONFIG"]), config["mailbox"]
    group, index = json.dumps(about["cluster"]), int(about["task"]["index"])
    ray.get(mailbox.join.remote(group, index))
    config["work"](
        lambda: ray.get(mailbox.next.remote(group, index)), lambda answer: ray.get(mailbox.answer.remote(group, index, answer))
    )
