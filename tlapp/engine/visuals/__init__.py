"""What people look at: heat maps, charts, and the report of a run as a page."""
