"""The task my_task. It imports nothing, so that a worker loads only what a job needs."""
