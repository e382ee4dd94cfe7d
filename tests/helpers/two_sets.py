"""Short trainings on a main and an auxiliary set."""

from __future__ import annotations

import json

from tlapp.engine.data import streams
from tlapp.engine.inputs.images import Images
from tlapp.engine.options import RunOptions
from tlapp.testing import tiny_run


def trained(strategy, sets, folder, **options):
    main, aux = sets
    run = tiny_run(strategy, main, folder, **{"aux": str(aux), "seed": 1, **options})
    return run, json.loads((folder / "metrics.json").read_text())


def loaded(main, aux, **options):
    return streams.load(RunOptions(data=str(main), aux=str(aux), **options), Images(16))
