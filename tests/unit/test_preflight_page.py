"""The page of a preflight, of a record written by hand."""

from earwitness.report.preflight_page import hours_line, preflight_page

COSTS = {"load_s": 21.0, "encode_and_ask_ms": 36.0, "train_row_ms": 7.2, "feature_bytes": 1000, "most_reserved_bytes": None}
LINE = {"what": "disk", "status": "fails", "found": "1 GB free | of 2", "remedy": "make room"}
FOUND = {
    "name": "owner/model", "folder": "data/models/hub/base", "identity": "ab12", "processor": "CPU", "quantisation": "nf4", "memory": "fast",
    "passed": False, "lines": [LINE], "costs": COSTS,
}  # fmt: skip


def test_hours_are_those_of_the_planned_rows_sounds_and_loads():
    """7.2 ms x 1,000,000 rows; 36 ms x 10,000 sounds x (9 adapters and the base); (21 s to load and 15 s to start) x 9 adapters, all / 3600 s."""
    assert hours_line(COSTS, 9, 1_000_000)["found"].startswith(
        "2.0 h to train 9 adapters on 1,000,000 rows in all, 1.0 h to ask each about 10,000 sounds, 0.1 h to start and load for it"
    )


def test_what_was_not_timed_gives_no_hours():
    assert hours_line(COSTS | {"train_row_ms": None}, 9, 100)["status"] == "not told"


def test_the_page_says_what_fails_and_what_to_do():
    page = preflight_page(FOUND, 9, 100).splitlines()
    assert page[0] == "# Preflight of owner/model"
    assert page[2] == "**1 of 2 fail: nothing starts.** Folder `data/models/hub/base`, identity `ab12`; CPU, quantisation nf4, memory fast."
    assert page[6] == "| fails | disk | 1 GB free / of 2. To do: make room |"
    assert preflight_page(FOUND | {"lines": []}, 9, 100).splitlines()[2].startswith("**Nothing fails.**")
