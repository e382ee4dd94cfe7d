"""A cluster in this process, whose tasks run when their results are asked for, the last ones first."""

from __future__ import annotations

import itertools
from types import SimpleNamespace


class RayError(Exception):
    """Ray's own: a worker was lost."""


class RayTaskError(RayError):
    """A worker raised something."""

    def __init__(self, cause):
        super().__init__(str(cause))
        self.cause = cause


class Reference:
    numbers = itertools.count()

    def __init__(self, work):
        self.work, self.name = work, str(next(self.numbers))

    def hex(self):
        return self.name


class FakeCluster:
    """As `tlapp.cluster.connection.Cluster`. `during(number of a task, from 0)` may raise what it fails by."""

    cores, machines = 2, 1

    def __init__(self, during=lambda number: None):
        self.lost, self.asked, self.most, self._under_way = 0, [], 0, 0
        self._during = during
        exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self.ray = SimpleNamespace(put=self._put, get=self._get, wait=self._wait, cancel=lambda each: None, exceptions=exceptions)

    def task(self, function):
        def start(*arguments):
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            number = len(self.asked)
            self.asked.append(arguments)

            def work():
                self._under_way -= 1
                self._during(number)
                return function(*arguments)

            return Reference(work)

        return start

    @staticmethod
    def _put(value):
        return Reference(lambda: value)

    @staticmethod
    def _get(reference):
        try:
            return reference.work()
        except RayError:
            raise
        except Exception as error:
            raise RayTaskError(error) from error

    @staticmethod
    def _wait(references, num_returns, timeout):
        ready = references[::-1][:num_returns]
        return ready, [each for each in references if each not in ready]
