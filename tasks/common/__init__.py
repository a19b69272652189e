"""What the task families share: judges, the retrained oracle, and how numbers get their identity."""
