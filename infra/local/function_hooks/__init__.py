"""What functions load in the embedded cloud, and nowhere else; their PYTHONPATH is this folder."""

from pathlib import Path

FOLDER = Path(__file__).parent
