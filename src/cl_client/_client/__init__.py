"""The parts of `ComputeClient`: resources on one event loop, plugins, files of jobs, administration."""
