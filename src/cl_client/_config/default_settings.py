"""Methods of the settings that can also be called on the class, where they use the default settings."""

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
    """Decorator for a method of a model whose fields all have defaults.

    On an instance it is a normal method. On the class it uses the default settings, ignoring the environment.
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
