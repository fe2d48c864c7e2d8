"""Parses a task's parameters from options; errors name the option."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from pydantic import ValidationError

from cl_client_cli.frame.usage import UsageError
from cl_client_cli.tasks.hls_variants import read_variants
from cl_client_cli.tasks.other_tasks import params_model_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

    from cl_client import TaskParams

_SINGULAR: Final = {"tags": "tag", "variants": "variant"}
"""Parameters with many values, and their options, which take one value each."""
_RULES: Final = {
    "missing": "is required",
    "extra_forbidden": "unknown parameter",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "literal_error": "must be {expected}",
}
"""Messages for pydantic's rules."""


def task_params(task: str, values: Mapping[str, object], *, by_name: bool = False) -> TaskParams:
    """Validate a task's parameters.

    Args:
        task: The name of the task.
        values: The values by name, as texts or numbers.
        by_name: Whether the values were given as ``--param NAME=VALUE``, instead of an option for each.

    Returns:
        The parameters.

    Raises:
        UsageError: A value is invalid; the message names the option.
    """
    given = dict(values)
    if task == "hls_streaming" and "variants" in given:
        given["variants"] = read_variants(given["variants"])
    try:
        return params_model_of(task).model_validate(given)
    except ValidationError as exc:
        explained = _explained_by_name if by_name else _explained
        raise UsageError("; ".join(map(explained, exc.errors(include_url=False)))) from None


def rule_of(error: ErrorDetails) -> str:
    """Describe the rule that a value breaks.

    Args:
        error: An error of pydantic.

    Returns:
        The rule, for instance ``must be at least 1``.
    """
    values = cast("Mapping[str, object]", error.get("ctx", {}))
    rule = _RULES.get(error["type"], error["msg"].removeprefix("Value error, "))
    return rule.format_map(values) if error["type"] in _RULES else rule


def _explained(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"][:1]))
    option = f"--{_SINGULAR.get(field, field).replace('_', '-')}"
    given = "" if error["type"] == "missing" else f" {error['input']}"
    return f"{option}{given}: {rule_of(error)}"


def _explained_by_name(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"][:1]))
    if not field:  # of several parameters together
        return rule_of(error)
    given = "" if error["type"] == "missing" else f"={error['input']}"
    return f"--param {field}{given}: {rule_of(error)}"
