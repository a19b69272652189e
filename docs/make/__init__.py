"""The programs that write pages of the documentation from code and records."""
