from collections.abc import Iterator

from schemathesis import APIOperation

class Ok:
    def ok(self) -> APIOperation: ...

class OpenApiSchema:
    def get_all_operations(self) -> Iterator[Ok]: ...

def from_url(url: str) -> OpenApiSchema: ...
