"""Authentication: providers, the auth service, renewal of tokens, stored tokens."""
