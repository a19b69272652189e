"""The static site: its pages, tables, pictures and templates."""
