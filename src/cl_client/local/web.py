"""What a FastAPI application answers, on Starlette alone: its routes, its refusals and its documents.

The services of a server have two dozen simple routes. FastAPI would take a quarter of the server's time to
import, and more than Starlette for each request; so it is imported for the first request for a document.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json, to_jsonable_python
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cl_client._core.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from cl_client.models import JSONObject

ModelT = TypeVar("ModelT", bound=BaseModel)

_DOCUMENT_PATHS: Final = ("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc")
_JSON: Final = "application/json"
_CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's status for a request whose client has disconnected; the response is never read."""


class InvalidFieldsError(Exception):
    """Fields of a request are missing or invalid.

    Args:
        faults: The entries of ``detail`` in the 422 response.
    """

    def __init__(self, faults: Sequence[Mapping[str, object]]) -> None:
        super().__init__("Fields of a request are missing or invalid")
        self.faults = faults


def application(routes: Sequence[Route], make_document: Callable[[], ASGIApp]) -> Starlette:
    """Make an application.

    Args:
        routes: Its routes.
        make_document: Makes the FastAPI application that serves its documents. Called in a thread.

    Returns:
        The application.
    """
    document = _Document(make_document)
    return Starlette(
        routes=[*(Route(path, document, methods=["GET"]) for path in _DOCUMENT_PATHS), *routes],
        exception_handlers={
            HTTPException: _refused,
            InvalidFieldsError: _invalid,
            ClientDisconnect: _client_went_away,
        },
    )


def route(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    """Make a route that, unlike Starlette's, takes no HEAD where it takes GET.

    Args:
        method: The HTTP method.
        path: The path, with its parameters in braces.
        endpoint: Answers a request.

    Returns:
        The route.
    """
    made = Route(path, endpoint, methods=[method])
    made.methods = {method}
    return made


def json_answer(answer: BaseModel | JSONObject, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Make a response of JSON.

    Args:
        answer: What to send; a model with all of its fields.
        status: The HTTP status.

    Returns:
        The response.
    """
    return Response(to_json(answer), status, media_type=_JSON)


def no_content() -> Response:
    """Make the response to a deletion, with FastAPI's type of the content that it does not have.

    Returns:
        The response.
    """
    return Response(status_code=HTTPStatus.NO_CONTENT, media_type=_JSON)


def path_value(request: Request, name: str) -> str:
    """Get a parameter of a request's path.

    Args:
        request: The request.
        name: The name of the parameter.

    Returns:
        Its text.
    """
    return cast("str", request.path_params[name])


def read_path(request: Request, model: type[ModelT]) -> ModelT:
    """Validate the parameters of a request's path.

    Args:
        request: The request.
        model: Their model.

    Returns:
        The validated parameters.

    Raises:
        InvalidFieldsError: One is invalid.
    """
    return _checked(model, cast("Mapping[str, str]", request.path_params), "path")


def read_query(request: Request, model: type[ModelT]) -> ModelT:
    """Validate the parameters of a request's query. Unknown ones are ignored.

    Args:
        request: The request.
        model: Their model.

    Returns:
        The validated parameters.

    Raises:
        InvalidFieldsError: One is missing or invalid.
    """
    return _checked(model, request.query_params, "query")


def _checked(model: type[ModelT], fields: Mapping[str, str], place: str) -> ModelT:
    try:
        return model.model_validate({name: fields[name] for name in model.model_fields if name in fields})
    except ValidationError as exc:
        raise InvalidFieldsError([*validation_faults(exc, place)]) from None


def validation_faults(exc: ValidationError, place: str = "body") -> Iterator[dict[str, object]]:
    """Convert Pydantic's errors to the format of FastAPI.

    Args:
        exc: The error of a model.
        place: Where the model's fields are: ``body``, ``path`` or ``query``.

    Yields:
        The entries of ``detail`` in a 422 response.
    """
    errors: list[ErrorDetails] = exc.errors(include_url=False)
    for error in errors:
        fault: dict[str, object] = {**error, "loc": (place, *error["loc"])}
        if error["type"] == "missing":
            fault["input"] = None
        if "ctx" in error and "error" in error["ctx"]:
            fault["ctx"] = {"error": {}}  # an exception cannot be JSON; FastAPI does the same
        yield fault


class _Document:
    """Passes requests on to an application that is made for the first of them."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._made: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._made is None:
            self._made = await in_thread(self._make)
        await self._made(scope, receive, send)


async def _refused(_request: Request, exc: Exception) -> Response:
    error = cast("HTTPException", exc)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def _invalid(_request: Request, exc: Exception) -> Response:
    faults = cast("InvalidFieldsError", exc).faults
    return JSONResponse({"detail": to_jsonable_python(faults)}, HTTPStatus.UNPROCESSABLE_ENTITY)


async def _client_went_away(_request: Request, _exc: Exception) -> Response:
    return Response(status_code=_CLIENT_CLOSED_REQUEST)
