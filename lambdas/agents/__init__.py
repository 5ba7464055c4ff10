"""The life of an agent: enrollment, presence, key rotation, updates, browsing and removal."""
