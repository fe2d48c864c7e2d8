"""What the test files of the single plugins check alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cl_client import InvalidParameterError

if TYPE_CHECKING:
    from cl_client import ComputeClient, JSONObject


def check_fields(client: ComputeClient, task: str, values: JSONObject, fields: dict[str, str]) -> None:
    """These parameters become these form fields, and the local server reads them back alike."""
    plugin = client.plugin(task)
    made = plugin.params(plugin.params_model, **values)
    assert made.form_fields() == fields
    assert plugin.params_model.model_validate(fields) == made


def check_refused(client: ComputeClient, task: str, values: JSONObject, field: str) -> None:
    """These parameters are refused, with the name of the field that is wrong."""
    plugin = client.plugin(task)
    with pytest.raises(InvalidParameterError, match=f"^{task}: {field}"):
        plugin.params(plugin.params_model, **values)
