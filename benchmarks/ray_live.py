"""`full` on two workers of one core each beside a process of one core: `tlapp train --on ray`, in turns.

    python benchmarks/ray_live.py DATA --rounds 3

DATA: class folders of some 400 pictures or more. Needs two free cores. The two workers are a Ray of two machines on this one; the
process that leads them makes the batches, and judges epochs while they wait. An epoch is timed from the end of the first on, in
which workers begin. The curves of losses must be the same within 1e-4.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOM = {"object_store_memory": 2**31}
"""Of each machine: Ray's test cluster has 150 MB else, which a block of steps fills, and then messages wait for seconds."""
ONE_CORE = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plugin", default="full")
    parser.add_argument("--backbone", default="keras-cv:efficientnet-lite0")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, help="train once, on so many: what each round starts in a process of its own")
    given = parser.parse_args()
    if given.workers is not None:
        train(given)
        return
    rounds: dict[int, list[dict]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as cache:  # the decoded pictures are the same for all
        for number in range(given.rounds):
            for workers in (1, 2) if number % 2 == 0 else (2, 1):
                command = [sys.executable, __file__, *sys.argv[1:], "--workers", str(workers)]
                environment = {**os.environ, **ONE_CORE, "TLAPP_CACHE": cache}
                done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
                rounds[workers].append(json.loads(done.stdout.splitlines()[-1]))
                print(workers, rounds[workers][-1], file=sys.stderr, flush=True)
    losses = [each["losses"] for found in rounds.values() for each in found]
    gap = max(abs(loss - first) for each in losses for loss, first in zip(each, losses[0], strict=True))
    print(f"largest difference of the losses: {gap:.1e}\n")
    print("| workers | seconds an epoch | times as fast | seconds of training | times as fast |\n| --- | --- | --- | --- | --- |")
    for workers, found in rounds.items():
        cells = []
        for key in ("epoch", "train"):
            ratio = statistics.median(one[key] / other[key] for one, other in zip(rounds[1], found, strict=True))
            cells += [f"{statistics.median(each[key] for each in found):.1f}", f"{ratio:.2f}"]
        print(f"| {workers} | {' | '.join(cells)} |")


class Clock:
    """A reporter that notes when each epoch ended, and its losses on train and val."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.losses: list[float] = []

    def epoch(self, epoch) -> None:
        self.ends.append(time.perf_counter())
        self.losses += [epoch.terms["loss"], epoch.validation["loss"]]

    def __getattr__(self, name: str):
        if name in ("note", "outline", "begun", "progress"):
            return lambda *arguments: None
        raise AttributeError(name)


def train(given: argparse.Namespace) -> None:
    """Train on a Ray of so many machines of one core; on one core of this process where it is one."""
    import tlapp

    on, clock = "", Clock()
    if given.workers > 1:
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **ROOM})
        for _ in range(given.workers - 1):
            cluster.add_node(num_cpus=1, **ROOM)
        ray.init(address=cluster.address, log_to_driver=False)
        on = "ray"
    else:
        os.sched_setaffinity(0, {0})
    with tempfile.TemporaryDirectory() as place:
        run = tlapp.train(
            plugin=given.plugin, data=given.data, backbone=given.backbone, epochs=given.epochs, warmup=0, patience=1000,
            learning_rate=1e-4, batch_size=given.batch_size, run=f"{place}/run", report="off", on=on, reporter=clock,
        )  # fmt: skip
        seconds = run.metrics["seconds"]["train"]
    epoch = (clock.ends[-1] - clock.ends[0]) / (len(clock.ends) - 1)
    print(json.dumps({"epoch": epoch, "train": seconds, "losses": clock.losses}))


if __name__ == "__main__":
    main()
