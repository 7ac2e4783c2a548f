"""Exercises: templates for a student, what is right, and the search for the smallest case that is wrong."""
