"""What functions load in the embedded cloud, and nowhere else; their PYTHONPATH is this folder."""
