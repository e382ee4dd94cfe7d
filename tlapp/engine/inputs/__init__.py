"""All that knows what an example is."""
