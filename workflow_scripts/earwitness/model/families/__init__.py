"""One file per family of audio language models (the `model_type` of config.json): all that the engine must know of it.

docs/add_a_family.md says how to add one; tests/unit/test_families.py holds what each must.
"""
