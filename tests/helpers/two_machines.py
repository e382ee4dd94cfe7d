"""Train on a Ray of two machines of one core, both of them this one: python two_machines.py SETTINGS.json [kill]

With `kill`, a worker is killed once two epochs of the phase tune have ended. Writes a line for each note.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

import tlapp
from tlapp.engine.report import Silent


def workers():
    """The processes of workers under way."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and b"ray::RayTrainWorker" in (folder / "cmdline").read_bytes():
                yield int(folder.name)
        except OSError:
            continue


class Killer(Silent):
    def note(self, sentence):
        print(sentence, flush=True)

    def epoch(self, epoch):
        if sys.argv[2:] == ["kill"] and (epoch.phase, epoch.epoch) == ("tune", 2):
            os.kill(max(workers()), signal.SIGKILL)


if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    tlapp.train(**json.loads(sys.argv[1]), on="ray", reporter=Killer())
    ray.shutdown()
    cluster.shutdown()
