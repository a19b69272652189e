"""One state of a method against another: whether its unlearning or its cost got worse."""
