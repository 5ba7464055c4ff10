"""What is installed on every host: the agent's service and the `crosshaul` command."""

VERSION = "0.1.0"
"""The same as pyproject.toml's; a test holds them together."""
