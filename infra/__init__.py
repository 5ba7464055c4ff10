"""The CDK app that deploys Crosshaul."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
