"""What `ComputeClient` is made of: its parts on one event loop, plugins, files of jobs, administration."""
