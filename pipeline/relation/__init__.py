"""What one picture is to another: the same file, a copy and how it was edited, another shot, or something else."""
