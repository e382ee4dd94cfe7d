"""First-party plugins, registered exactly as a stranger's would be."""
