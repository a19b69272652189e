"""From a request to a record: identity, plan, runner, executors, worker."""
