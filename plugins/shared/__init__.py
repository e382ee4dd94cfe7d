"""What several strategies or heads use."""
