"""The verbs that make runs, and what they print."""
