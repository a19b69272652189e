"""The tasks, one file each (its name is the task's, with underscores for hyphens), over one folder for each family."""
