"""The library: every image ever seen, its vector, and what could not be read; kept in one SQLite file."""
