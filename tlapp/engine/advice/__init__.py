"""What is known of a task before and beside training: baselines on frozen features, and whether transfer helped."""
