"""The command line of cl_client: `cl-client`."""
