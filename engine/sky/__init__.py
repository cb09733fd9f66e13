"""A simulated sky with exact truth: fields, nights, cosmic rays, stamps and terrain."""

from __future__ import annotations

from engine.sky.conditions import FieldConditions
from engine.sky.cosmicrays import cosmic_ray_hits
from engine.sky.field import SimulatedField, simulate_field
from engine.sky.night import (
    SimulatedFrame,
    simulated_again,
    simulated_frame,
    simulated_night,
    simulated_rover_frame,
)
from engine.sky.stamps import STAMP_KINDS, galaxy_stamp
from engine.sky.terrain import terrain
from engine.sky.truth import ANOMALY_KINDS, ARTEFACT_KINDS, GALAXY_KINDS, SkyObject, Truth

__all__ = [
    "ANOMALY_KINDS",
    "ARTEFACT_KINDS",
    "GALAXY_KINDS",
    "STAMP_KINDS",
    "FieldConditions",
    "SimulatedField",
    "SimulatedFrame",
    "SkyObject",
    "Truth",
    "cosmic_ray_hits",
    "galaxy_stamp",
    "simulate_field",
    "simulated_again",
    "simulated_frame",
    "simulated_night",
    "simulated_rover_frame",
    "terrain",
]
