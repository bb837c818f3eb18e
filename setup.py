"""What pip installs of this repository: the library, its programs as earwitness.programs, and the configuration's schema."""

from setuptools import find_packages, setup

setup(packages=[*find_packages("workflow_scripts"), "earwitness.programs", "earwitness.schema"])
