"""The charts: each function makes one of what a report holds, or None where there is nothing to draw."""
