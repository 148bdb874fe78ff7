"""Answers that somebody declares out of date."""
