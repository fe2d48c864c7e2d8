"""A method of the settings that the class itself has as well, where it answers for the defaults."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

ModelT = TypeVar("ModelT", bound=BaseModel)
ParamsP = ParamSpec("ParamsP")
ResultT = TypeVar("ResultT")


class MethodWithDefaults(Generic[ModelT, ParamsP, ResultT]):
    """Decorates a method of a model all of whose fields have defaults.

    On an instance it is the method; on the class it answers for the defaults, whatever the environment says.
    """

    def __init__(self, method: Callable[Concatenate[ModelT, ParamsP], ResultT]) -> None:
        self._method = method
        self.__doc__ = method.__doc__
        self.__wrapped__ = method

    @overload
    def __get__(self, instance: None, owner: type[ModelT]) -> Callable[ParamsP, ResultT]: ...
    @overload
    def __get__(self, instance: ModelT, owner: type[ModelT]) -> Callable[ParamsP, ResultT]: ...
    def __get__(self, instance: ModelT | None, owner: type[ModelT]) -> Callable[ParamsP, ResultT]:
        model = owner.model_construct() if instance is None else instance
        return cast("Callable[ParamsP, ResultT]", MethodType(self._method, model))
