"""Holding a method or a task to its contract."""
