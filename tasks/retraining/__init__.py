"""Tasks whose oracle is the base model's own recipe without the forgotten data."""
