"""A field is pydantic's, and says when it counts: holds, words, and the value that stands in the way."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field as PydanticField
from pydantic import ValidationError

from tlapp import registry
from tlapp.cli.options import describe
from tlapp.contracts import Field, Options, Strategy, above, other_than, when
from tlapp.contracts.options import condition_of
from tlapp.errors import PluginError
from tlapp.settings import plugin_options

Share = Annotated[float, Field(gt=0, le=1)]


class Some(Options):
    method: Literal["a", "b", "c"] = Field("a", description="how")
    last: int = Field(0, ge=0)
    limit: float | None = None
    shares: tuple[Share, ...] = Field((0.5,), min_length=1)


@pytest.mark.parametrize(
    ("condition", "words", "settings", "opposed"),
    [
        (when(method="b"), "option method is b", {"method": "b"}, {}),
        (when(method=("b", "c")), "option method is b or c", {"method": "c"}, {}),
        (when(method=other_than("a", "b")), "option method is not a or b", {"method": "c"}, {"method": "b"}),
        (when(last=above(0)), "option last is above 0", {"last": 1}, {"last": 0}),
        (when(limit=None), "option limit is not set", {}, {"limit": 0.0}),
        (when(limit=other_than(None)), "option limit is set", {"limit": 0.0}, {}),
        (when(limit=above(1)), "option limit is above 1", {"limit": 2.0}, {"limit": None}),
        (
            when(last=above(1), method="a"),
            "option last is above 1 and option method is a",
            {"last": 2},
            {"last": 2, "method": "b"},
        ),
    ],
)
def test_a_condition_holds_and_says_so(condition, words, settings, opposed):
    assert condition.holds(Some(**settings)) and not condition.holds(Some(**opposed))
    assert condition.words() == words


def test_of_several_conditions_one_must_hold():
    class Two(Some):
        size: int = Field(1, description="how many", when=(when(method="b"), when(last=above(0))))

    condition = condition_of(Two.model_fields["size"])
    assert condition.words() == "option method is b, or option last is above 0"
    assert condition.words("head_") == "option head_method is b, or option head_last is above 0"
    assert [condition.holds(Two(**each)) for each in ({}, {"method": "b"}, {"last": 1})] == [False, True, True]
    assert condition.now(Two(last=3)) == "option method=a, option last=3"
    assert describe(Two.model_fields["size"]) == "how many (counts when --method is b, or --last is above 0)  [default: 1]"


def test_without_a_condition_it_is_pydantics():
    ours, theirs = Field(3, ge=1, description="x"), PydanticField(3, ge=1, description="x")
    assert repr(ours) == repr(theirs) and condition_of(ours) is None
    assert Field(..., description="x").is_required() and Field(description="x").is_required()
    assert Field(default_factory=list).get_default(call_default_factory=True) == []
    with pytest.raises(ValidationError):
        Some(shares=(0.0,))
    with pytest.raises(ValidationError):
        Some(last=-1)


def test_a_condition_keeps_the_constraints():
    field = Field(3, ge=1, when=when(a=1), json_schema_extra={"mine": 1})
    assert field.metadata == Field(3, ge=1).metadata and field.json_schema_extra["mine"] == 1


class Dangling(Strategy):
    size: int = Field(1, description="how many", when=when(mthod="b"))

    def plan(self, task, backbone):
        raise NotImplementedError


def test_a_condition_on_an_option_that_is_not_there_is_the_plugins_mistake(monkeypatch):
    monkeypatch.setattr(registry, "load", lambda kind, name: Dangling)
    monkeypatch.setattr(registry, "plugin_name", lambda kind, name: "strategy dangling of x 1.0")
    with pytest.raises(PluginError, match=r"its option size counts by mthod, which it does not have"):
        plugin_options("strategy", "dangling")
