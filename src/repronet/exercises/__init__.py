"""Exercises: templates for students, reference solutions, and the search for the smallest case that fails."""
