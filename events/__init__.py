"""The wire: every message between cloud, agent and console. Models only, no I/O."""
