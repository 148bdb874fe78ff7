"""Exports into a bucket, as jobs and on schedules."""
