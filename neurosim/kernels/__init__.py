"""Inner loops compiled by numba: plain functions over plain arrays and scalars, no objects, no Python state.

``wrap`` holds the one decorator that every compiled function goes through; ``random`` the counter-based random streams.
"""
