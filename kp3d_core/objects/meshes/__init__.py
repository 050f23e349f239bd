"""Objects from mesh files that others made: a list of them, reading, random variation."""
