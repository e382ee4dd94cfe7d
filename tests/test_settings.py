"""Settings are the same after YAML and after the command line."""

from __future__ import annotations

import pytest
from helpers.drawn import options, words
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tlapp import registry
from tlapp.contracts import UserError
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.record import Record
from tlapp.settings import HEAD, resolve
from tlapp.words import flag

drawn = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("plugin", registry.installed("strategy"))
@given(data=st.data())
@settings(drawn, max_examples=15)
def test_settings_are_the_same_after_yaml_and_after_the_command_line(plugin, data, tmp_path):
    head = data.draw(st.sampled_from(sorted(registry.installed("head"))))
    own = {HEAD + key: value for key, value in data.draw(options(registry.load("head", head))).items()}
    chosen = {**data.draw(options(RunOptions)), **data.draw(options(registry.load("strategy", plugin))), **own}
    chosen |= {"plugin": plugin, "head": head}
    try:
        found = resolve(chosen)
    except UserError:
        assume(False)
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    Record(str(folder), plugin).begin(found.flat(), {}, (), ())
    again = resolve({}, folder / "settings.yaml")
    assert (again.options, again.strategy, again.head) == (found.options, found.strategy, found.head)
    assert again.flat() == found.flat()
    typed = {key: words(value) for key, value in chosen.items() if value is not None}
    by_flags = resolve(typed)
    assert by_flags.flat() == found.flat(), {flag(key): value for key, value in typed.items()}
