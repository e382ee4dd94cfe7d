"""Takes five seconds to import."""

import time

from tlapp.contracts import Fit, Plan, Strategy

time.sleep(5)


class Slow(Strategy):
    """Take your time."""

    def plan(self, task, backbone):
        return Plan((Fit(name="head", rates=backbone.frozen(), epochs=1, learning_rate=1e-3),))
