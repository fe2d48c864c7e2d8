"""Who the client is: providers of credentials, to be given to a `ComputeClient`."""

from cl_client._auth.password import PasswordAuthProvider
from cl_client._auth.providers import AuthProvider, JWTAuthProvider, NoAuthProvider

__all__ = [
    "AuthProvider",
    "JWTAuthProvider",
    "NoAuthProvider",
    "PasswordAuthProvider",
]
