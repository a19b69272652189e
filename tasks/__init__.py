"""The tasks, one file each (its name is the task's, with underscores for hyphens), over one folder for each family.

diffusers, transformers, timm and scikit-learn are loaded by the functions that use them: naming a task, planning its runs
and refusing them must not wait seconds for libraries that only the run itself needs.
"""
