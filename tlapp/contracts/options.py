"""Options: a pydantic field is the flag, the YAML key, the constructor argument, the help line and the check."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """A frozen set of named, checked values. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
