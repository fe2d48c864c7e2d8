"""Auth providers, which give a `ComputeClient` its credentials."""

from cl_client._auth.password import PasswordAuthProvider
from cl_client._auth.providers import AuthProvider, JWTAuthProvider, NoAuthProvider

__all__ = [
    "AuthProvider",
    "JWTAuthProvider",
    "NoAuthProvider",
    "PasswordAuthProvider",
]
