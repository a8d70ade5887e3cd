"""What several tortures need: pictures by the thousand, and a disk that fails on demand."""
