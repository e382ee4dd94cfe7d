"""A cluster of Ray, https://docs.ray.io: the one place that starts and reaches it, and what trains together on it."""
