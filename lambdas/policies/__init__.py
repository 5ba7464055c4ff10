"""Authorization: decide requests, enforce decisions, and manage and test policies."""
