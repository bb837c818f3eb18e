"""Tiny bases, one file per family that has one: a real model of the family's classes, small enough to learn speech on two CPU cores."""
