"""Train on a Ray of two machines of one core, both of them this one: python -m helpers.two_machines SETTINGS.json [kill]

With `kill`, a worker is killed once two epochs of the phase tune have ended. Writes a line for each note.
"""

from __future__ import annotations

import json
import os
import signal
import sys

import ray
from helpers.processes import running
from ray.cluster_utils import Cluster

import tlapp
from tlapp.engine.report import Silent


class Killer(Silent):
    def note(self, sentence):
        print(sentence, flush=True)

    def epoch(self, epoch):
        if sys.argv[2:] == ["kill"] and (epoch.phase, epoch.epoch) == ("tune", 2):
            os.kill(max(running(b"ray::RayTrainWorker")), signal.SIGKILL)


if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    tlapp.train(**json.loads(sys.argv[1]), on="ray", reporter=Killer())
    ray.shutdown()
    cluster.shutdown()
