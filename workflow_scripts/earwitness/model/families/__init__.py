"""One file per family of audio language models (the `model_type` of config.json): all that the engine must know of it.

docs/add_a_family.md says how to add one; tests/conformance holds what each must hold.
"""
