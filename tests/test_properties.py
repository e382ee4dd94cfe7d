"""What holds whatever the data, the options, the settings and the graph: drawn by hypothesis."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tlapp import registry
from tlapp.contracts import Backbone, Fit, ImageInput, Stage, Task, UserError
from tlapp.engine.check import make_plan
from tlapp.engine.data import splits
from tlapp.engine.data.tables import Item
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.record import Record
from tlapp.settings import HEAD, flag, resolve
from tlapp.testing.same import difference

drawn = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Splits -------------------------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_categories=["Cs"]) | st.integers(0xDC80, 0xDCFF).map(chr), min_size=1, max_size=6)
"""Whatever a file may be called, bytes that are not UTF-8 included."""
SHARE = st.floats(0.01, 0.89)
SHARES = st.one_of(
    st.just({}), st.fixed_dictionaries({"val": SHARE}), st.fixed_dictionaries({"test": SHARE}),
    st.fixed_dictionaries({"val": SHARE, "test": SHARE}).filter(lambda shares: sum(shares.values()) < 1),
)  # fmt: skip
SEED = st.integers(0, 2**31 - 1)
COUNTS = st.dictionaries(NAMES, st.integers(1, 40), min_size=1, max_size=4)


def items(counts, first=0):
    return [Item(f"{label}/{i}", f"{i}.png", label) for label, count in counts.items() for i in range(first, first + count)]


def assign(listed, shares, seed, same=None):
    """Path -> split."""
    found = splits.assign(listed, [item.path for item in listed] if same is None else same, shares, seed)
    return {item.path: split for item, split in zip(listed, found, strict=True)}


@given(COUNTS, SHARES, SEED, st.randoms(use_true_random=False))
@drawn
def test_each_class_is_split_by_the_shares_within_one_whatever_the_order(counts, shares, seed, dice):
    found = assign(items(counts), shares, seed)
    for label, total in counts.items():
        held = Counter(found[item.path] for item in items({label: total}))
        assert set(held) <= {"train", *shares} and held["train"] >= 1
        left = total - 1  # for training there is always one
        for split in sorted(shares):  # the test first
            others = sum(other > split for other in shares)
            assert held[split] >= (total >= splits.SMALLEST)
            if total >= splits.SMALLEST:
                assert abs(held[split] - min(max(shares[split] * total, 1), left - others)) <= 1
            left -= held[split]
    shuffled = items(counts)
    dice.shuffle(shuffled)
    assert assign(shuffled, shares, seed) == found


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 6), st.integers(0, 30)), min_size=1, max_size=50),
    SHARES,
    SEED,
)
@drawn
def test_groups_and_copies_are_never_divided(rows, shares, seed):
    listed = [
        Item(str(i), str(i), label, None, None if group is None else str(group)) for i, (label, group, _) in enumerate(rows)
    ]
    found = assign(listed, shares, seed, [copy for *_, copy in rows])
    together = defaultdict(set)
    for item, (_, group, copy) in zip(listed, rows, strict=True):
        together["copy", copy].add(found[item.path])
        if group is not None:
            together["group", group].add(found[item.path])
    assert all(len(held) == 1 for held in together.values())
    assert "train" in found.values() or not found


@given(COUNTS, SHARES, SEED, st.integers(1, 12), NAMES)
@drawn
def test_files_that_are_added_move_few_of_their_class_and_none_of_another(counts, shares, seed, added, new):
    grown = next(iter(counts))
    before = assign(items(counts), shares, seed)
    after = assign([*items(counts), *items({grown: added}, counts[grown])], shares, seed)
    moved = [path for path, split in before.items() if after[path] != split]
    assert len(moved) <= added * len(shares) and all(path.rpartition("/")[0] == grown for path in moved)
    if added == 1:
        assert not any({before[path], after[path]} == {"val", "test"} for path in moved)
    if new not in counts:
        with_class = assign([*items(counts), *items({new: added})], shares, seed)
        assert all(with_class[path] == split for path, split in before.items())


# Plans --------------------------------------------------------------------------------------------------------------------------

STREAMS = {"train": 24, "val": 6, "test": 12, "target": 24, "aux": 24}


def values(field) -> st.SearchStrategy[Any]:
    """What an option takes, by its annotation and bounds."""
    names = ("ge", "gt", "le", "lt", "min_length")
    bounds = {name: getattr(item, name) for item in field.metadata for name in names if hasattr(item, name)}
    return of(field.annotation, bounds)


def of(kind: Any, bounds: dict[str, Any]) -> st.SearchStrategy[Any]:
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is tuple:
        return st.lists(st.integers(1, 99), min_size=bounds.get("min_length", 0), max_size=3).map(tuple)
    if len(parts := get_args(kind)) > 1:  # such as float | None
        return st.one_of(*(of(part, bounds) for part in parts))
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if kind is float:
        return st.floats(low, high, allow_nan=False, allow_infinity=False, exclude_min="gt" in bounds, exclude_max="lt" in bounds)
    if kind is int:
        return st.integers(low, low + 30 if high is None else high - ("lt" in bounds))
    return {bool: st.booleans(), str: NAMES, type(None): st.none()}[kind]


def options(kind) -> st.SearchStrategy[dict[str, Any]]:
    """Some options of a class, with values that it takes; the rest are left to their defaults."""
    return st.fixed_dictionaries({}, optional={name: values(field) for name, field in kind.model_fields.items()})


@st.composite
def backbones(draw) -> Backbone:
    names = draw(st.lists(NAMES, min_size=1, max_size=20, unique=True))
    return Backbone("made-up", ImageInput(64), tuple(Stage(name, draw(st.integers(0, 9999))) for name in names))


@pytest.mark.parametrize("name", registry.found("strategy"))
@given(data=st.data(), facts=backbones())
@settings(drawn, max_examples=25)
def test_a_plan_covers_every_stage_in_order_and_is_the_same_for_equal_inputs(name, data, facts):
    kind = registry.load("strategy", name)
    chosen = data.draw(options(kind))
    task = Task(("circle", "square", "stripe"), STREAMS)
    try:
        plan = make_plan(kind(**chosen), task, facts, name)
    except UserError:
        assume(False)
    assert difference(plan, make_plan(kind(**chosen), task, facts, name)) == ""
    stages = [stage.name for stage in facts.stages]
    living = [[name for name in stages if phase.rates[name] > 0] for phase in plan.phases]
    for phase, names in zip(plan.phases, living, strict=True):
        assert set(phase.rates) == set(stages) and set(phase.streams) <= set(STREAMS)
        assert names == stages[len(stages) - len(names) :]  # nothing lives before what is frozen
    fits = [phase for phase in plan.phases if isinstance(phase, Fit) and "train" in phase.streams]
    warm = [i for i, phase in enumerate(fits) if phase.name == "warm-up"]
    assert warm in ([], [0])  # the head is warmed up before anything else trains on it
    if name == "gradual":
        counts = [len(names) for names in living]
        assert counts == sorted(counts)


# Settings -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plugin", registry.found("strategy"))
@given(data=st.data())
@settings(drawn, max_examples=15)
def test_settings_are_the_same_after_yaml_and_after_the_command_line(plugin, data, tmp_path):
    head = data.draw(st.sampled_from(sorted(registry.found("head"))))
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


def words(value: Any) -> str:
    """A value as one types it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


# The cut ------------------------------------------------------------------------------------------------------------------------

STAGES = ("one", "two", "three", "four")
LAYERS = {
    "norm": lambda layers, name: layers.BatchNormalization(name=name),
    "dropout": lambda layers, name: layers.Dropout(0.5, name=name),
    "relu": lambda layers, name: layers.ReLU(name=name),
    "add": lambda layers, name: layers.Add(name=name),
    "concatenate": lambda layers, name: layers.Concatenate(name=name),
}
MERGING = ("add", "concatenate")
OPERATIONS = ("dense", "norm", "dropout", "relu", "add", "concatenate", "again", "grafted", "operation")


@st.composite
def graphs(draw) -> list[tuple[str, list[int], str]]:
    """Operations in order: what each is, which of the tensors before it it reads, its stage. Stages come in any order."""
    found = []
    for at in range(draw(st.integers(1, 10))):
        kind = draw(st.sampled_from(OPERATIONS))
        count = draw(st.integers(1, 3)) if kind in MERGING else 1
        found.append((kind, [draw(st.integers(0, at)) for _ in range(count)], draw(st.sampled_from(STAGES))))
    return found


RATES = st.fixed_dictionaries({stage: st.sampled_from((0.0, 0.0, 0.1, 1.0)) for stage in STAGES})


def built(todo):
    """A functional model of such operations on four numbers, what they leave added up; and layer name -> stage."""
    import keras

    rng, image, stage_of, made = np.random.default_rng(3), keras.Input((4,)), {}, {}
    tensors = [image]
    for number, (kind, reads, stage) in enumerate(todo):
        inputs = [tensors[i] for i in reads]
        if kind == "operation":  # neither a layer nor weights
            tensors.append(keras.ops.tanh(inputs[0]))
            continue
        name = f"{kind}{number}"
        if kind == "again":  # a layer that is called twice
            name = next((other for other in made if not other.startswith(MERGING)), name)
        layer = made.setdefault(name, LAYERS.get(kind, lambda layers, name: layers.Dense(4, name=name))(keras.layers, name))
        if kind in MERGING:
            inputs = [layer(inputs if len(inputs) > 1 else [inputs[0], inputs[0]])]
            stage_of[name] = stage
            layer = keras.layers.Dense(4, name=f"narrow{number}")
        tensors.append(layer(inputs[0]))
        if kind != "grafted":
            stage_of.setdefault(layer.name, stage)
        for weight in layer.weights:
            if weight.dtype == "float32":
                weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    read = {i for _, reads, _ in todo for i in reads}
    ends = [tensor for i, tensor in enumerate(tensors) if i not in read]
    return keras.Model(image, keras.layers.Add(name="end")(ends) if len(ends) > 1 else ends[0]), stage_of


@given(graphs(), RATES)
@settings(drawn, max_examples=50)
def test_front_and_rest_are_the_whole_graph(tensorflow, todo, rates):
    from tlapp.contracts.graph import replay
    from tlapp.engine.network.cut import cut
    from tlapp.engine.network.net import infer

    graph, stage_of = built(todo)
    where = cut(graph, rates, stage_of)
    x = tensorflow.constant(np.random.default_rng(0).normal(size=(5, 4)).astype("float32"))
    front = replay(where.front, {id(where.input): x}, infer)
    assert not any(lives(step, rates, stage_of) for step in where.front)
    # The rest sees nothing but the boundary, and all of it.
    rest = replay(where.rest, {id(t): front[id(t)] for t in where.boundary}, infer)
    assert np.array_equal(rest[id(where.output)], graph(x, training=False))
    if where.rest:
        assert {id(t) for t in where.boundary} <= {id(t) for step in where.rest for t in step.inputs}
    # What is frozen and reads what is frozen is in the front, unless no front is worth computing.
    frozen = {id(t) for step in where.front for t in step.outputs} | {id(where.input)}
    for step in () if where.at_input else where.rest:
        assert lives(step, rates, stage_of) or not all(id(t) in frozen for t in step.inputs)


def lives(step, rates, stage_of):
    """Whether the step trains by itself: its stage's rate is above 0 or, having none, it has weights."""
    name = step.operation.name
    return rates[stage_of[name]] > 0 if name in stage_of else bool(getattr(step.operation, "weights", ()))


@given(graphs(), RATES)
@settings(drawn, max_examples=8)
def test_the_compiled_front_and_the_net_of_a_phase_are_the_whole_graph(tensorflow, todo, rates):
    from tlapp.engine.network.cut import cut
    from tlapp.engine.network.front import Front
    from tlapp.engine.network.net import PhaseNet

    graph, stage_of = built(todo)
    where = cut(graph, rates, stage_of)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    crossing = [x] if where.at_input else Front(graph, where.boundary)(x)
    net = PhaseNet(where, Fit(name="a", rates=rates, epochs=1, learning_rate=1.0), stage_of, None, None, {})
    np.testing.assert_allclose(net.describe(tuple(crossing)), graph(x, training=False), rtol=1e-4, atol=1e-5)
