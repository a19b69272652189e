"""Methods against each other: paired differences over shared seeds."""
